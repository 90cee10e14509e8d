use super::{capability, follow, line, print_json};
use crate::{
    client::{self, Client},
    home::Home,
    trouble::Trouble,
};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use protocol::{
    capability::{CapabilityReply, Claims},
    ids::AgentId,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Lists what the capability allows, with what the servers say about it.
pub(super) async fn run(home: &Home, agent: Option<AgentId>, json: bool) -> Result<(), Trouble> {
    let client = Client::connect(home).await?;
    let reply = capability::get(&client, home, agent).await?;
    let mut servers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for tool in claims(&reply.capability)?.tools {
        servers.entry(tool.server).or_default().push(tool.tool);
    }
    let asked = servers.keys().map(|server| definitions(&client, home, &reply, server));
    let (mut all, mut troubles) = (Vec::new(), Vec::new());
    for ((server, allowed), listed) in servers.iter().zip(futures::future::join_all(asked).await) {
        // One that does not answer hides no other; what it may do is known without it.
        let definitions = listed.unwrap_or_else(|trouble| {
            troubles.push(trouble);
            Vec::new()
        });
        for tool in allowed {
            let definition = definitions.iter().find(|definition| definition["name"] == tool.as_str());
            let description = definition.and_then(|definition| definition["description"].as_str()).unwrap_or_default();
            all.push(json!({"server": server, "tool": tool, "description": description}));
        }
    }
    if troubles.len() == servers.len()
        && let Some(trouble) = troubles.pop()
    {
        return Err(trouble);
    }
    troubles.iter().for_each(|trouble| eprintln!("{trouble}"));
    if json {
        print_json(&all);
        return Ok(());
    }
    if all.is_empty() {
        put!("No tools yet. Say what you want: agentopia chat \"…\", or agentopia deploy uvx:mcp-server-time");
        return Ok(());
    }
    let text = |value: &Value| line(value.as_str().unwrap_or_default());
    let names: Vec<String> =
        all.iter().map(|tool| format!("{}.{}", text(&tool["server"]), text(&tool["tool"]))).collect();
    let width = names.iter().map(String::len).max().unwrap_or(0);
    for (name, tool) in names.iter().zip(&all) {
        let description = text(&tool["description"]);
        let first = description.trim().split(". ").next().unwrap_or_default();
        put!("{name:<width$}  {}", first.chars().take(160).collect::<String>());
    }
    Ok(())
}

/// What the gateway shows of one server. Of a server with very many tools it shows a search instead: then nothing is found.
async fn definitions(
    client: &Client,
    home: &Home,
    reply: &CapabilityReply,
    server: &str,
) -> Result<Vec<Value>, Trouble> {
    let url = endpoint(&reply.gateway, server);
    let mcp = mcp::client::Client::new(client::http(), url, &reply.capability);
    let listed = follow::once_served(client, home, server, async || mcp.tools().await).await;
    listed.map_err(|error| refused(server, &error))
}

/// `/mcp/<server>` at the gateway.
pub(super) fn endpoint(gateway: &str, server: &str) -> String {
    format!("{}/{server}", gateway.trim_end_matches('/'))
}

pub(super) fn refused(server: &str, error: &mcp::Error) -> Trouble {
    Trouble::new(
        format!("The toolbox's gateway did not serve {server}."),
        "Look at `agentopia status`; `agentopia doctor` says what is wrong.",
    )
    .caused_by(error)
}

/// Our own capability: what it says is read, not trusted; the gateway verifies it.
fn claims(capability: &str) -> Result<Claims, Trouble> {
    let body = capability.split('.').nth(1).and_then(|body| BASE64_URL_SAFE_NO_PAD.decode(body).ok());
    body.and_then(|body| serde_json::from_slice(&body).ok()).ok_or_else(|| {
        Trouble::new("The capability cannot be understood.", "Run the same release of both: scripts/up.")
    })
}
