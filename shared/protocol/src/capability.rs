//! The claims of a capability: what one agent may call at one toolbox, until when.

use crate::ids::*;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// JWT claims. Times are seconds since the epoch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    pub iss: String,
    /// `toolbox:<id>`.
    pub aud: String,
    /// `agent:<id>`.
    pub sub: String,
    pub own: UserId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    pub jti: String,
    pub iat: i64,
    pub nbf: i64,
    pub exp: i64,
    /// The agent's revocation epoch.
    pub ep: u64,
    /// How many calls may be made with it at most; absent for any number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calls: Option<u64>,
    pub tools: Vec<GrantedTool>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantedTool {
    /// The server's short name at the toolbox.
    pub server: String,
    pub tool: String,
    /// SHA-256 over the canonical tool definition that the grant was made for, lower-case hex.
    pub digest: String,
    /// A JSON Schema that the arguments must satisfy beside the tool's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub args: Option<Value>,
    pub class: RiskClass,
}

/// What a call can do at worst. Unknown counts as `Destructive`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RiskClass {
    Read,
    Write,
    Destructive,
    Egress,
    Exec,
}

/// `POST /api/capabilities`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapabilityRequest {
    /// The user's own agent, which may use whatever the user deployed, when absent.
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    /// The user's only toolbox, when absent.
    #[serde(default)]
    pub toolbox_id: Option<ToolboxId>,
    #[serde(default)]
    pub run_id: Option<RunId>,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct CapabilityReply {
    pub capability: String,
    /// Where to use it: the toolbox's `/mcp`.
    pub gateway: String,
    pub expires_at: i64,
}
