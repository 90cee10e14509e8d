//! Runs of agents: `/api/runs`.

use crate::{Timestamp, ids::*};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `POST /api/agents/{id}/runs`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunCreate {
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Run {
    pub id: RunId,
    pub agent_id: AgentId,
    #[serde(default)]
    pub session_id: Option<SessionId>,
    pub state: RunState,
    pub message: String,
    /// Of its last event.
    pub sequence: i64,
    /// Its user asked it to stop.
    #[serde(default)]
    pub cancel: bool,
    pub created_at: Timestamp,
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    Running,
    Finished,
    Failed,
    Cancelled,
}

/// `GET /api/runs/{id}`: the run and its journal without the pieces of text that streamed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunReply {
    #[serde(flatten)]
    pub run: Run,
    /// The 1000 first.
    pub events: Vec<Event>,
}

/// One entry of a run's journal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Event {
    pub sequence: i64,
    /// `run.started`, `model.delta`, `model.answered`, `tool.called`, `tool.returned`, `run.finished`.
    #[serde(rename = "type")]
    pub kind: String,
    pub at: Timestamp,
    /// What the kind says: `text`, `tool`, `arguments`, `output`, …
    #[serde(flatten)]
    pub data: Map<String, Value>,
}
