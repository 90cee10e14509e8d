//! One turn of the conversation, and what belongs to it: asking for credentials, following the deployment.

mod credentials;

use super::{follow, lines, print_json};
use crate::{
    cli::{Chat, Session},
    client::Client,
    home::{Config, Home, read_json, write_json},
    steps::Step,
    trouble::Trouble,
};
use credentials::{Credentials, Exposed};
use protocol::{
    agent::Agent,
    chat::{ChatReply, ChatStatus, RequiredCredential},
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
}

pub(super) async fn run(home: &Home, options: Chat, json: bool) -> Result<ExitCode, Trouble> {
    let client = Client::connect(home).await?;
    let given = options.credentials_file.as_deref().map(credentials::read_file).transpose()?;
    let session_id = match options.session {
        Some(Session::Id(id)) => Some(id),
        Some(Session::Last) => Some(last(home)?),
        None => None,
    };
    // In a conversation that waits for credentials they go along at once; else it is not known yet what they are for.
    let now = given.as_ref().filter(|_| session_id.is_some()).map(Exposed);
    let toolbox_id = Config::load(home)?.toolbox_id;
    let turn = Turn { message: &options.text, session_id, agent_id: options.agent, toolbox_id, credentials: now };
    let mut reply = send(home, &client, &turn).await?;

    if reply.status == ChatStatus::PendingCredentials && !reply.required_credentials.is_empty() {
        if !json {
            show(&reply);
        }
        if let Some(found) = obtain(&reply.required_credentials, given, json).await? {
            let turn = Turn {
                message: "Here are the credentials.",
                session_id: Some(reply.session_id),
                agent_id: options.agent,
                toolbox_id,
                credentials: Some(Exposed(&found)),
            };
            reply = send(home, &client, &turn).await?;
            if !json {
                show(&reply);
            }
        } else if !json {
            reply.required_credentials.iter().for_each(credentials::explain);
            eprintln!("\nGive them: agentopia chat --session last --credentials-file FILE \"here they are\"");
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
            write_json(&home.run().join("session.json"), &reply.session_id)?;
        }
        Err(_) => step.failed(),
    }
    reply
}

fn last(home: &Home) -> Result<SessionId, Trouble> {
    read_json(&home.run().join("session.json"))?
        .ok_or_else(|| Trouble::new("There was no conversation in this home yet.", "Begin one: agentopia chat \"…\""))
}

/// The credentials that are asked for: from the file, from standard input, or typed without echo.
async fn obtain(
    wanted: &[RequiredCredential],
    given: Option<Credentials>,
    json: bool,
) -> Result<Option<Credentials>, Trouble> {
    let given = match given {
        Some(given) => Some(given),
        None if std::io::stdin().is_terminal() && !json => return credentials::ask(wanted).map(Some),
        None => credentials::read_input().await?,
    };
    given.map(|given| given.only(wanted)).transpose()
}

fn show(reply: &ChatReply) {
    put!("{}", lines(&reply.reply));
    for file in &reply.required_files {
        put!("  file {} ({}): {}", lines(&file.key), lines(&file.file_type), lines(&file.description));
    }
}
