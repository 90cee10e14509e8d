//! `POST /api/chat` and `/api/sessions`.

use crate::{ids::*, plan::Plan};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChatRequest {
    pub message: String,
    #[serde(default)]
    pub session_id: Option<SessionId>,
    /// An existing agent to talk to, instead of making a new one.
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    /// Where a new agent's servers shall run; whoever has one toolbox need not say so.
    #[serde(default)]
    pub toolbox_id: Option<ToolboxId>,
    /// Values by server and key.
    #[serde(default)]
    pub credentials: BTreeMap<String, BTreeMap<String, Secret>>,
    #[serde(default)]
    pub files: Vec<File>,
}

/// A secret on its way in. It can be read and taken, never printed or written out.
#[derive(Deserialize)]
#[serde(transparent)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    pub filename: String,
    /// Base64.
    pub content: Secret,
    #[serde(rename = "type")]
    pub kind: FileKind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FileKind {
    Credential,
    Config,
    Other,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChatReply {
    pub reply: String,
    pub session_id: SessionId,
    pub required_credentials: Vec<RequiredCredential>,
    pub required_files: Vec<RequiredFile>,
    pub status: ChatStatus,
    pub agent_created: bool,
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    /// The run that answered; none when no agent did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    #[serde(default)]
    pub plan: Option<Plan>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChatStatus {
    Success,
    PendingCredentials,
    Error,
}

impl fmt::Display for ChatStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Success => "success",
            Self::PendingCredentials => "pending_credentials",
            Self::Error => "error",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredCredential {
    /// The server's short name, as in `Choice::server`; the key of `ChatRequest::credentials`.
    pub mcp_server: String,
    pub credential_key: String,
    pub description: String,
    /// How to get it, a step each.
    pub instructions: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RequiredFile {
    pub key: String,
    pub description: String,
    pub file_type: String,
}
