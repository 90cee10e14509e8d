//! One turn of the conversation, and what belongs to it: asking for credentials, following the deployment.

mod credentials;
mod files;

use super::{follow, lines, print_json};
use crate::{
    cli::{Chat, Session},
    client::Client,
    home::{Config, Home, read_json, write_json},
    steps::Step,
    trouble::Trouble,
};
use credentials::{Credentials, Exposed};
use files::File;
use protocol::{
    agent::Agent,
    chat::{ChatReply, ChatStatus},
    ids::{AgentId, SessionId, ToolboxId},
};
use serde::Serialize;
use std::{io::IsTerminal, process::ExitCode};

#[derive(Serialize)]
struct Turn<'a> {
    message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    session_id: Option<SessionId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_id: Option<AgentId>,
    /// This machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    toolbox_id: Option<ToolboxId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    credentials: Option<Exposed<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    files: &'a [File],
}

pub(super) async fn run(home: &Home, options: Chat, json: bool) -> Result<ExitCode, Trouble> {
    let client = Client::connect(home).await?;
    let given = options.credentials_file.as_deref().map(credentials::read_file).transpose()?;
    let read = options.file.iter().map(|(name, path)| files::read(name, path));
    let files = read.collect::<Result<Vec<File>, Trouble>>()?;
    let session_id = match options.session {
        Some(Session::Id(id)) => Some(id),
        Some(Session::Last) => Some(last(home)?),
        None => None,
    };
    // In a conversation that waits for credentials they go along at once; else it is not known yet what they are for.
    let now = given.as_ref().filter(|_| session_id.is_some()).map(Exposed);
    let toolbox_id = Config::load(home)?.toolbox_id;
    let turn = Turn {
        message: &options.text,
        session_id,
        agent_id: options.agent,
        toolbox_id,
        credentials: now,
        files: if session_id.is_some() { &files } else { &[] },
    };
    let mut reply = send(home, &client, &turn).await?;

    if reply.status == ChatStatus::PendingCredentials {
        if !json {
            show(&reply);
        }
        if let Some((found, files)) = obtain(&reply, given, files, json).await? {
            let turn = Turn {
                message: "Here are the credentials.",
                session_id: Some(reply.session_id),
                agent_id: options.agent,
                toolbox_id,
                credentials: Some(Exposed(&found)),
                files: &files,
            };
            reply = send(home, &client, &turn).await?;
            if !json {
                show(&reply);
            }
        } else if !json {
            reply.required_credentials.iter().for_each(credentials::explain);
            reply.required_files.iter().for_each(files::explain);
            let values = if reply.required_credentials.is_empty() { "" } else { " --credentials-file FILE" };
            let files = if reply.required_files.is_empty() { "" } else { " --file NAME=PATH" };
            eprintln!("\nGive them: agentopia chat --session last{values}{files} \"here they are\"");
        }
    } else if !json {
        show(&reply);
    }

    let mut good = reply.status != ChatStatus::Error;
    if let (true, false, Some(agent)) = (reply.agent_created, options.no_wait, reply.agent_id) {
        let agent: Agent = client.get(&format!("/api/agents/{agent}")).await?;
        good &= follow::until_settled(&client, follow::toolbox(home)?, &agent.servers).await?;
    }
    if json {
        print_json(&reply);
    } else if let Some(run) = reply.run_id {
        eprintln!("\nSee what it did: agentopia trace {run}");
    } else if reply.agent_created && good {
        eprintln!("\nSee what it can do: agentopia tools");
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

async fn send(home: &Home, client: &Client, turn: &Turn<'_>) -> Result<ChatReply, Trouble> {
    let step = Step::start("thinking");
    let reply: Result<ChatReply, Trouble> = client.post("/api/chat", turn).await;
    match &reply {
        Ok(reply) => {
            step.done();
            // The turn has happened: what was said matters more than that `--session last` finds it.
            if let Err(trouble) = write_json(&home.run().join("session.json"), &reply.session_id) {
                eprintln!("{trouble}");
            }
        }
        Err(_) => step.failed(),
    }
    reply
}

fn last(home: &Home) -> Result<SessionId, Trouble> {
    read_json(&home.run().join("session.json"))?
        .ok_or_else(|| Trouble::new("There was no conversation in this home yet.", "Begin one: agentopia chat \"…\""))
}

/// The credentials that are asked for: from the file, from standard input, or typed without echo; and the files: those that
/// were named, or what is typed in. None when something is missing and nobody can be asked.
async fn obtain(
    reply: &ChatReply,
    given: Option<Credentials>,
    mut files: Vec<File>,
    json: bool,
) -> Result<Option<(Credentials, Vec<File>)>, Trouble> {
    let wanted = &reply.required_credentials;
    let asked = std::io::stdin().is_terminal() && !json;
    let found = match given {
        Some(given) => given.only(wanted)?,
        None if wanted.is_empty() => Credentials::default(),
        None if asked => credentials::ask(wanted)?,
        None => match credentials::read_input().await? {
            Some(given) => given.only(wanted)?,
            None => return Ok(None),
        },
    };
    for wanted in &reply.required_files {
        if files.iter().any(|file| file.is(wanted)) {
            continue;
        }
        if !asked {
            return Ok(None);
        }
        files.push(files::ask(wanted)?);
    }
    Ok(Some((found, files)))
}

fn show(reply: &ChatReply) {
    put!("{}", lines(&reply.reply));
}
