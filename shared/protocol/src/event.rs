//! What a toolbox says has happened.

use crate::{Timestamp, ids::*, server::ServerState};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// `POST /api/toolboxes/events`, with the toolbox's JWT as the bearer. An event that was sent before is not recorded again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventUpload {
    pub spool: SpoolId,
    pub events: Vec<Event>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventReply {
    /// Events with this number and lower ones are recorded and may be forgotten.
    pub through: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Event {
    /// Counts up within a spool.
    pub number: u64,
    /// By the toolbox's clock.
    pub at: Timestamp,
    pub what: Happening,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Happening {
    /// Calls of one tool by one agent with the same arguments and outcome, close together.
    Call(Calls),
    /// A server was not let out to a host.
    Refusal(Refusal),
    /// A server runs, failed or stopped.
    Deployment(Deployment),
    /// A tool came to say something else: grants of what it said before are no good any more.
    ToolChanged(ToolChanged),
    /// An agent wishes for tools that it was not granted.
    ToolRequest(ToolRequest),
    /// So many events could not be kept.
    Lost(Lost),
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calls {
    pub agent_id: AgentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    /// As the calls named them; of a refused call they may name nothing that exists.
    pub server: String,
    pub tool: String,
    /// SHA-256 of the arguments' JSON text, lower-case hex; empty when it stands for many, in a flood of calls.
    pub arguments: String,
    /// The arguments themselves without known secrets, 4 KiB at most: only where the toolbox's owner switched it on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub values: Option<String>,
    /// `answered`, `failed`, `refused`, `cancelled`, `timed_out`, `expired`, `revoked` or `unavailable`.
    pub outcome: String,
    pub count: u64,
    /// Microseconds that they took together.
    pub micros: u64,
    /// The trace that they belong to (W3C trace context), as their client said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<String>,
    /// Signs that the answers are not what they seem: `foreign_secret`, `invisible`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolChanged {
    pub server_id: ServerId,
    pub tool: String,
    /// Digests of the definitions.
    pub before: String,
    pub now: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub server_id: ServerId,
    pub host: String,
    /// Absent when only the name was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub port: Option<u16>,
    /// In words.
    pub why: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Deployment {
    pub server_id: ServerId,
    pub revision: u32,
    pub state: ServerState,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exit_code: Option<i64>,
    /// The last lines that it wrote, known secrets removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub log_tail: Vec<String>,
}

/// Written by a model: data, to be shown and never obeyed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolRequest {
    pub agent_id: AgentId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run_id: Option<RunId>,
    pub need: String,
    pub tools: Vec<String>,
    pub reason: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Lost {
    pub count: u64,
}

/// One of `GET /api/toolboxes/{id}/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Recorded {
    pub id: i64,
    pub at: Timestamp,
    pub received_at: Timestamp,
    /// `call`, `refusal`, `deployment`, `tool_request`, `tool_changed` or `lost`.
    pub kind: String,
    /// What the kind says.
    pub data: Value,
}

/// One of `GET /api/usage`: what became of an agent's calls of a tool.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    pub toolbox_id: ToolboxId,
    pub agent_id: AgentId,
    pub server: String,
    pub tool: String,
    pub calls: u64,
    pub answered: u64,
    pub refused: u64,
    /// Microseconds that they took together.
    pub micros: u64,
    pub last_at: Timestamp,
}
