//! Looks at servers while they are deployed.

use super::{lines, status::word};
use crate::{
    client::Client,
    home::{Config, Home},
    steps::Step,
    trouble::Trouble,
};
use protocol::{
    ids::{ServerId, ToolboxId},
    server::{ServerState, ServerStatus},
    toolbox::{Server, Toolbox},
};
use std::time::{Duration, Instant};

/// An installation of a large package takes minutes; nothing at all for this long is a fault.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long servers that ran before take at most until they run again, all at once.
const RESTART: Duration = Duration::from_secs(30);
const GLANCE: Duration = Duration::from_millis(150);

/// This machine's toolbox.
pub(super) fn toolbox(home: &Home) -> Result<ToolboxId, Trouble> {
    Config::load(home)?.toolbox_id.ok_or_else(|| {
        Trouble::new(
            "This machine is not enrolled as a toolbox yet.",
            "Run `agentopia up`, or `agentopia doctor` when it runs.",
        )
    })
}

pub(super) async fn servers(client: &Client, toolbox: ToolboxId) -> Result<Vec<Server>, Trouble> {
    client.get(&format!("/api/toolboxes/{toolbox}/servers")).await
}

/// One server, with its tools.
pub(crate) async fn detail(client: &Client, toolbox: ToolboxId, id: ServerId) -> Result<Server, Trouble> {
    client.get(&format!("/api/toolboxes/{toolbox}/servers/{id}")).await
}

/// The server with this name at this machine's toolbox.
pub(super) async fn named(client: &Client, home: &Home, name: &str) -> Result<Server, Trouble> {
    let all = servers(client, toolbox(home)?).await?;
    let names: Vec<String> = all.iter().map(|server| server.spec.name.clone()).collect();
    all.into_iter().find(|server| server.spec.name == name).ok_or_else(|| {
        let next = match names.as_slice() {
            [] => "Deploy one first: agentopia deploy uvx:mcp-server-time".to_owned(),
            names => format!("There are: {}.", names.join(", ")),
        };
        Trouble::new(format!("There is no server {name:?} here."), next)
    })
}

/// Asks the gateway. Just after a start it does not serve yet what is being started again: then it is asked again.
pub(crate) async fn once_served<T>(
    client: &Client,
    home: &Home,
    server: &str,
    ask: impl AsyncFn() -> Result<T, mcp::Error>,
) -> Result<T, mcp::Error> {
    let (started, mut waiting) = (Instant::now(), None);
    loop {
        let answer = ask().await;
        let absent = matches!(answer, Err(mcp::Error::Status { status: 404, .. }));
        if !absent || started.elapsed() > RESTART || !is_coming(client, home, server).await {
            if let (true, Some(step)) = (answer.is_ok(), waiting) {
                Step::done(step);
            }
            return answer;
        }
        waiting.get_or_insert_with(|| Step::start(format!("waiting for {server}")));
        tokio::time::sleep(GLANCE).await;
    }
}

/// Whether the server is one of this machine's and has not failed.
async fn is_coming(client: &Client, home: &Home, name: &str) -> bool {
    let state = named(client, home, name).await.map(|server| server.status.state);
    state.is_ok_and(|state| !matches!(state, ServerState::Failed | ServerState::Stopping | ServerState::Stopped))
}

/// Waits until each of the servers has its tools listed or has failed, showing every step. True when none failed.
pub(super) async fn until_settled(client: &Client, toolbox: ToolboxId, names: &[String]) -> Result<bool, Trouble> {
    let mut waiting: Vec<(String, Step, Option<String>)> =
        names.iter().map(|name| (name.clone(), Step::start(name.clone()), None)).collect();
    let (started, mut good, mut troubled) = (Instant::now(), true, None);
    while !waiting.is_empty() {
        let now = servers(client, toolbox).await?;
        let mut left = Vec::new();
        for (name, step, said) in waiting {
            let status = now.iter().find(|server| server.spec.name == name).map(|server| &server.status);
            match status {
                None => {
                    step.failed();
                    eprintln!("      it was removed meanwhile");
                    good = false;
                }
                Some(status) if status.state == ServerState::Running => {
                    step.done_with(&tools(&detail(client, toolbox, status.id).await?.status));
                }
                Some(status) if status.state == ServerState::Failed => {
                    step.failed();
                    explain(status);
                    good = false;
                }
                Some(status) => {
                    let note = status.detail.clone().unwrap_or_else(|| word(status.state).to_owned());
                    if said.as_ref() != Some(&note) {
                        step.note(&super::line(&note));
                    }
                    left.push((name, step, Some(note)));
                }
            }
        }
        waiting = left;
        if waiting.is_empty() {
            break;
        }
        blocked(client, toolbox, &mut troubled).await?;
        if started.elapsed() > PATIENCE {
            return Err(Trouble::new(
                "The servers are not ready after ten minutes.",
                "Look at `agentopia status` and `agentopia logs SERVER`; `agentopia doctor` checks Docker.",
            ));
        }
        tokio::time::sleep(GLANCE).await;
    }
    Ok(good)
}

/// Gives up when the machine itself has been in trouble for some seconds: then no server can get ready.
async fn blocked(client: &Client, toolbox: ToolboxId, since: &mut Option<Instant>) -> Result<(), Trouble> {
    let now: Toolbox = client.get(&format!("/api/toolboxes/{toolbox}")).await?;
    let Some(trouble) = now.trouble else {
        *since = None;
        return Ok(());
    };
    if since.get_or_insert_with(Instant::now).elapsed() < Duration::from_secs(5) {
        return Ok(());
    }
    Err(Trouble::new(
        "The toolbox cannot run servers at the moment; it goes on by itself when it can.",
        "Run `agentopia doctor`: it names the command that mends it.",
    )
    .because(super::line(&trouble)))
}

fn tools(status: &ServerStatus) -> String {
    let pinned = status.pinned.as_deref().map(|pinned| format!(", {pinned}")).unwrap_or_default();
    match &status.tools {
        Some(tools) => format!("{} tools{pinned}", tools.len()),
        None => format!("running{pinned}"),
    }
}

/// Why a server failed: in words, its exit code, and what it wrote last.
fn explain(status: &ServerStatus) {
    if let Some(detail) = &status.detail {
        eprintln!("      {}", super::line(detail));
    }
    if let Some(code) = status.exit_code {
        eprintln!("      exit code {code}");
    }
    for text in &status.log_tail {
        eprintln!("      | {}", lines(text));
    }
}
