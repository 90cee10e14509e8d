//! A server as the toolbox runs it: what is wanted, and what is seen.

use crate::{Timestamp, ids::*};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// How a server comes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Source {
    /// An npm package.
    Npx { package: String, version: Option<String> },
    /// A PyPI package.
    Uvx { package: String, version: Option<String> },
    /// An image; used as it is when it is present on the machine.
    Oci { image: String },
    /// A server that somebody else runs, spoken to over streamable HTTP. `{NAME}` in it stands for the secret of that name.
    Remote { url: String },
}

impl Source {
    /// It says which version it is.
    pub fn is_pinned(&self) -> bool {
        match self {
            Self::Npx { version, .. } | Self::Uvx { version, .. } => version.is_some(),
            Self::Oci { .. } | Self::Remote { .. } => true,
        }
    }
}

/// One server of the desired state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerSpec {
    pub id: ServerId,
    /// Short name, `[a-z0-9-]{1,40}`, unique at the toolbox.
    pub name: String,
    pub source: Source,
    #[serde(default)]
    pub args: Vec<String>,
    /// Plain settings; of a remote server, its headers. Secrets are never here: they are fetched sealed, just before a start,
    /// and `{NAME}` stands for one.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Names of the variables whose values the toolbox fetches from the vault.
    #[serde(default)]
    pub secrets: Vec<String>,
    /// Hosts that it may reach, `host:port`, or `*` for any public address. Empty: no network.
    #[serde(default)]
    pub hosts: Vec<String>,
    /// Counts up when the user asks for a restart or a credential changes.
    #[serde(default)]
    pub revision: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ServerState {
    /// Known to the control plane, not yet to the toolbox.
    Pending,
    /// The package or image is being fetched.
    Installing,
    Starting,
    /// Its tools are listed.
    Running,
    /// It stopped by itself and will be started again.
    BackingOff,
    Failed,
    Stopping,
    Stopped,
}

/// What the toolbox sees of one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerStatus {
    pub id: ServerId,
    pub state: ServerState,
    pub revision: u32,
    /// In words, for a person: the step under way, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The last 20 lines that it wrote, known secrets removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
    /// The version or digest that was resolved and pinned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
    /// Complete when `Running`; absent when unchanged since the check-in that the control plane acknowledged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tools: Option<Vec<Tool>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Timestamp>,
}

/// A tool as its server defines it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tool {
    pub name: String,
    /// SHA-256 over the canonical definition, lower-case hex.
    pub digest: String,
    /// The definition as the server gave it. Untrusted data.
    pub definition: Value,
}
