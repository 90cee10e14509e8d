//! Permissions as rows: who may call what, why, and until when.

use crate::{Timestamp, capability::RiskClass, ids::*};
use serde::{Deserialize, Serialize};
use serde_json::Value;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Grant {
    pub id: GrantId,
    pub agent_id: AgentId,
    #[serde(default)]
    pub run_id: Option<RunId>,
    pub server_id: ServerId,
    /// The server's short name.
    pub server: String,
    /// A tool, or `*` for every tool that the server had when its tools were first listed.
    pub tool: String,
    #[serde(default)]
    pub args: Option<Value>,
    #[serde(default)]
    pub class: Option<RiskClass>,
    pub why: String,
    pub state: GrantState,
    pub asked_by: String,
    #[serde(default)]
    pub approved_by: Option<String>,
    pub created_at: Timestamp,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantState {
    Waiting,
    Active,
    Denied,
    Expired,
    Revoked,
}

/// `POST /api/grants`: a user gives one of their agents a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrantCreate {
    pub agent_id: AgentId,
    pub server_id: ServerId,
    pub tool: String,
    /// Of the definition that was looked at, as the server's list of tools has it: what says something else by now is not
    /// granted.
    #[serde(default)]
    pub digest: Option<String>,
    #[serde(default)]
    pub args: Option<Value>,
    pub why: String,
    /// Absent: as long as the agent exists.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}
