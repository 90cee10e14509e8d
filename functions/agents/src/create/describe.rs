//! What is written down about an agent that comes from a configuration.

use super::Named;
use crate::entries::Entries;
use database::agent::NewAgent;
use domain::{credentials, names};
use protocol::{
    agent::AgentCreate,
    catalog::Package,
    plan::{Capability, Choice, Plan},
    server::Source,
};
use serde_json::Value;

/// Everything but its servers. Values that went to the vault stand nowhere in it, should the prompt repeat them.
pub(super) fn agent(request: &AgentCreate, servers: &[Named], entries: &Entries) -> NewAgent {
    let values: Vec<&str> =
        servers.iter().flat_map(|server| &server.parsed.values).map(|(_, value)| value.expose()).collect();
    let prompt = credentials::redact(&request.user_prompt, &values);
    let name = names::inline(&prompt, 60);
    let capabilities = servers.iter().map(|server| capability(request, server, entries, &values)).collect();
    NewAgent {
        name: if name.is_empty() { "agent".to_owned() } else { name },
        request: prompt.clone(),
        plan: Some(Plan { request: prompt, capabilities }),
        workflow: (!request.workflow.is_null()).then(|| clean(&request.workflow, &values)),
        toolbox_id: None,
        servers: Vec::new(),
    }
}

fn capability(request: &AgentCreate, server: &Named, entries: &Entries, values: &[&str]) -> Capability {
    let info = request.mcp_server_info.servers.iter().find(|info| info.name == server.name);
    let said = info.map(|info| credentials::redact(&info.description, values)).unwrap_or_default();
    let need = names::inline(&said, 200);
    let entry = entries.get(&server.parsed.source);
    let short = names::server_slug(&server.name);
    Capability {
        need: if need.is_empty() { short.clone() } else { need },
        chosen: Some(Choice {
            name: entry.map_or_else(|| short.clone(), |entry| entry.name.clone()),
            title: entry.map_or_else(|| short.clone(), credentials::title),
            server: short,
            confidence: 1.0,
            package: package(&server.parsed.source),
            inputs_unknown: entry.is_none(),
        }),
        alternatives: Vec::new(),
        reason: "It stands in the configuration that the agent was made from.".to_owned(),
    }
}

fn package(source: &Source) -> Package {
    let (registry_type, identifier, version) = match source {
        Source::Npx { package, version } => ("npm", package, version.clone()),
        Source::Uvx { package, version } => ("pypi", package, version.clone()),
        Source::Oci { image } => ("oci", image, None),
        Source::Remote { url } => (Package::REMOTE, url, None),
    };
    Package { registry_type: registry_type.to_owned(), identifier: identifier.clone(), version, ..Package::default() }
}

/// The workflow is its maker's own; only what is secret or cannot be kept is taken out.
fn clean(value: &Value, values: &[&str]) -> Value {
    let text = |text: &str| credentials::redact(&text.replace('\0', ""), values);
    match value {
        Value::String(string) => Value::String(text(string)),
        Value::Array(items) => items.iter().map(|item| clean(item, values)).collect(),
        Value::Object(fields) => fields.iter().map(|(key, value)| (text(key), clean(value, values))).collect(),
        other => other.clone(),
    }
}
