//! Runs of agents and their journals.

use crate::{Caller, Database, Error, session::Message};
use protocol::{
    ids::*,
    run::{Event, Run, RunReply},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// A run that was just made, and what it begins with.
#[derive(Clone, Debug, Deserialize)]
pub struct Begun {
    #[serde(flatten)]
    pub run: Run,
    /// The lease's number, which every append carries.
    pub fence: i32,
    pub agent: Who,
    /// What was said last in its session.
    pub history: Vec<Message>,
}

/// A run to be made.
#[derive(Clone, Debug, Serialize)]
pub struct NewRun<'a> {
    pub id: RunId,
    pub agent_id: AgentId,
    /// Nobody else's run may be under way in it.
    pub session_id: Option<SessionId>,
    /// The session is made with the run.
    pub begins_session: bool,
    pub message: &'a str,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Who {
    pub id: AgentId,
    pub name: String,
    /// What it was made for.
    pub request: String,
}

/// An event before it has a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NewEvent {
    pub kind: &'static str,
    pub data: Value,
}

#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Appended {
    /// Of the last event.
    pub sequence: i64,
    /// Its user asked it to stop.
    pub cancel: bool,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Journal {
    pub run: Run,
    pub events: Vec<Event>,
}

impl Database {
    pub async fn run_create(&self, caller: &Caller, run: &NewRun<'_>) -> Result<Begun, Error> {
        self.call(caller, "run_create", run).await
    }

    /// Adds to the journal. `state`: `finished`, `failed` or `cancelled`, with the last events.
    pub async fn run_append(
        &self,
        caller: &Caller,
        id: RunId,
        fence: i32,
        events: &[NewEvent],
        state: Option<&str>,
    ) -> Result<Appended, Error> {
        let arguments = json!({"run_id": id, "fence": fence, "events": events, "state": state});
        self.call(caller, "run_append", &arguments).await
    }

    pub async fn run_get(&self, caller: &Caller, id: RunId) -> Result<RunReply, Error> {
        self.call(caller, "run_get", &json!({"id": id})).await
    }

    /// The events after `after`, 500 at most.
    pub async fn run_event_list(&self, caller: &Caller, id: RunId, after: i64) -> Result<Journal, Error> {
        self.call(caller, "run_event_list", &json!({"id": id, "after": after})).await
    }

    pub async fn run_cancel(&self, caller: &Caller, id: RunId) -> Result<Run, Error> {
        self.call(caller, "run_cancel", &json!({"id": id})).await
    }
}
