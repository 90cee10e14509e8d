use protocol::{catalog::ServerJson, server::Source};
use serde_json::Value;

/// Packages that are known to work without any network.
const OFFLINE: [&str; 9] = [
    "@modelcontextprotocol/server-everything",
    "@modelcontextprotocol/server-filesystem",
    "@modelcontextprotocol/server-memory",
    "@modelcontextprotocol/server-sequential-thinking",
    "@modelcontextprotocol/server-sequentialthinking",
    "mcp-server-calculator",
    "mcp-server-git",
    "mcp-server-sqlite",
    "mcp-server-time",
];

/// Where the server may connect to: what the entry declares; nothing for packages known to need nothing; else any public
/// address, since entries of the official registry have no field for it. The host, its network and the metadata address
/// are out of reach in every case.
pub(super) fn hosts(server: &ServerJson, source: &Source) -> Vec<String> {
    if let Some(Value::Array(declared)) = server.meta.get("io.agentopia/hosts") {
        let hosts = declared.iter().filter_map(Value::as_str).filter(|host| is_host(host));
        return hosts.take(32).map(str::to_owned).collect();
    }
    match source {
        Source::Npx { package, .. } | Source::Uvx { package, .. } if OFFLINE.contains(&package.as_str()) => Vec::new(),
        _ => vec!["*".to_owned()],
    }
}

/// `*`, or `host:port` with a name, not an address: an entry cannot point a server into somebody's network.
fn is_host(host: &str) -> bool {
    let Some((name, port)) = host.rsplit_once(':') else { return host == "*" };
    let mut labels = name.split('.');
    port.parse::<u16>().is_ok_and(|port| port > 0)
        && name.len() <= 253
        && labels.clone().count() >= 2
        && labels.clone().all(|label| {
            !label.is_empty()
                && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
                && !label.starts_with('-')
                && !label.ends_with('-')
        })
        && labels.next_back().is_some_and(|top| top.bytes().all(|b| b.is_ascii_alphabetic()))
        && !name.ends_with(".local")
        && !name.ends_with(".internal")
        && !name.ends_with(".localhost")
}
