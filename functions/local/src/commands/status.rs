use super::{follow, line, print_json};
use crate::{
    client::Client,
    home::{Config, Home, Instance},
    trouble::Trouble,
};
use protocol::{
    server::{ServerState, ServerStatus},
    toolbox::{Server, Toolbox},
};
use serde_json::json;
use std::process::ExitCode;

pub(super) async fn run(home: &Home, json: bool) -> Result<ExitCode, Trouble> {
    let Some(instance) = Instance::running(home)?.filter(|instance| instance.ready) else {
        if json {
            print_json(&json!({"up": false, "home": home.path()}));
        } else {
            put!("down      {}", home.path().display());
        }
        return Ok(ExitCode::FAILURE);
    };
    let client = Client::connect(home).await?;
    let id = Config::load(home)?.toolbox_id;
    let (toolbox, servers) = match id {
        Some(id) => {
            let toolbox: Toolbox = client.get(&format!("/api/toolboxes/{id}")).await?;
            (Some(toolbox), client.get::<Vec<Server>>(&format!("/api/toolboxes/{id}/servers")).await?)
        }
        None => (None, Vec::new()),
    };
    if json {
        print_json(&json!({
            "up": true, "home": home.path(), "url": instance.url, "gateway": instance.gateway, "pid": instance.process.pid,
            "version": instance.version, "toolbox": toolbox, "servers": servers,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    put!("up        {}  (process {})", instance.url, instance.process.pid);
    put!("home      {}", home.path().display());
    put!("gateway   {}", instance.gateway);
    if let Some(toolbox) = toolbox {
        put!("toolbox   {} ({})", line(&toolbox.name), toolbox.state);
        if let Some(trouble) = toolbox.trouble {
            put!("          {}", line(&trouble));
        }
    }
    for server in &servers {
        let server = follow::detail(&client, server.toolbox_id, server.spec.id).await?;
        put!("server    {:<24} {}", server.spec.name, describe(&server.status));
    }
    Ok(ExitCode::SUCCESS)
}

/// A server's state in words.
pub(super) fn describe(status: &ServerStatus) -> String {
    let state = word(status.state);
    match &status.detail {
        Some(detail) if status.state != ServerState::Running => format!("{state}: {}", line(detail)),
        _ => match &status.tools {
            Some(tools) if status.state == ServerState::Running => format!("{state}, {} tools", tools.len()),
            _ => state.to_owned(),
        },
    }
}

pub(super) fn word(state: ServerState) -> &'static str {
    match state {
        ServerState::Pending => "waiting for the toolbox",
        ServerState::Installing => "installing",
        ServerState::Starting => "starting",
        ServerState::Running => "running",
        ServerState::BackingOff => "stopped by itself, starting again",
        ServerState::Failed => "failed",
        ServerState::Stopping => "stopping",
        ServerState::Stopped => "stopped",
    }
}
