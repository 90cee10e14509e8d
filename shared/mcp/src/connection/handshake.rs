//! Agreeing on a revision.

use super::Connection;
use crate::{Error, Version, code};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

/// What a server said of itself. Untrusted: for display, never for decisions about permissions.
#[derive(Clone, Debug, PartialEq)]
pub struct Peer {
    pub version: Version,
    pub capabilities: Value,
    pub info: Value,
    pub instructions: Option<String>,
}

impl Default for Peer {
    fn default() -> Self {
        Self { version: Version::LAST_WITH_SESSIONS, capabilities: Value::Null, info: Value::Null, instructions: None }
    }
}

impl Peer {
    /// Whether the server declared a capability; true when nothing is known about it.
    pub fn offers(&self, capability: &str) -> bool {
        self.capabilities.as_object().is_none_or(|all| all.contains_key(capability))
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Initialized {
    protocol_version: String,
    #[serde(default)]
    capabilities: Value,
    #[serde(default)]
    server_info: Value,
    #[serde(default)]
    instructions: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Discovered {
    supported_versions: Vec<String>,
    #[serde(default)]
    capabilities: Value,
    #[serde(default)]
    instructions: Option<String>,
    #[serde(default, rename = "_meta")]
    meta: Value,
}

/// The specification lets a client that knows both eras probe with `server/discover`. Most servers in the wild know only
/// `initialize`, and some of them die of anything else, so that comes first: a server that knows both accepts it, and
/// one that is stateless only refuses it at once.
pub(super) async fn agree(connection: &Connection) -> Result<Peer, Error> {
    let options = &connection.0.options;
    let until = Instant::now() + options.handshake;
    let within = async {
        if options.resume {
            // An earlier peer may have been stopped in the middle of a line.
            connection.0.shared.outbox.push(b"\n");
        }
        match initialize(connection).await {
            Ok(peer) => Ok(peer),
            Err(Error::Rpc { code, message }) => match discover(connection).await {
                Ok(peer) => Ok(peer),
                Err(Error::Closed) => Err(Error::Closed),
                Err(_) if options.resume => still_there(connection).await,
                // It failed, or nobody is at its address: that says nothing about what it speaks.
                Err(_) if code == code::INTERNAL => Err(Error::Rpc { code, message }),
                Err(_) => Err(Error::NotMcp(Error::Rpc { code, message }.to_string())),
            },
            Err(Error::Shape(e)) => Err(Error::NotMcp(e.to_string())),
            Err(e) => Err(e),
        }
    };
    timeout_at(until, within).await.map_err(|_| Error::TimedOut(options.handshake))?
}

async fn initialize(connection: &Connection) -> Result<Peer, Error> {
    let params = json!({
        "protocolVersion": Version::LAST_WITH_SESSIONS.as_str(),
        // What some caller may offer; who does not is not asked.
        "capabilities": {"sampling": {"tools": {}, "context": {}}, "elicitation": {"form": {}, "url": {}}, "roots": {}},
        "clientInfo": {"name": "agentopia", "version": env!("CARGO_PKG_VERSION")},
    });
    let limit = connection.0.options.handshake;
    let result = connection.request_within("initialize", &params, limit).await?;
    let said: Initialized = serde_json::from_str(result.get())?;
    let version = Version::parse(&said.protocol_version)
        .ok_or_else(|| Error::NotMcp(format!("unknown revision {:?}", said.protocol_version)))?;
    connection.notify("notifications/initialized", None);
    Ok(Peer { version, capabilities: said.capabilities, info: said.server_info, instructions: said.instructions })
}

async fn discover(connection: &Connection) -> Result<Peer, Error> {
    let version = Version::V2026_07_28;
    let params = json!({"_meta": {
        "io.modelcontextprotocol/protocolVersion": version.as_str(),
        "io.modelcontextprotocol/clientInfo": {"name": "agentopia", "version": env!("CARGO_PKG_VERSION")},
        "io.modelcontextprotocol/clientCapabilities": {},
    }});
    let limit = connection.0.options.handshake;
    let result = connection.request_within("server/discover", &params, limit).await?;
    let said: Discovered = serde_json::from_str(result.get())?;
    if !said.supported_versions.iter().any(|v| v == version.as_str()) {
        return Err(Error::NotMcp(format!("speaks only {}", said.supported_versions.join(", "))));
    }
    let info = said.meta.get("io.modelcontextprotocol/serverInfo").cloned().unwrap_or_default();
    Ok(Peer { version, capabilities: said.capabilities, info, instructions: said.instructions })
}

/// A server that was initialised by a peer before us and refuses another handshake: what was agreed then holds.
async fn still_there(connection: &Connection) -> Result<Peer, Error> {
    connection.request("ping", &json!({})).await?;
    Ok(connection.0.options.known.clone().unwrap_or_default())
}
