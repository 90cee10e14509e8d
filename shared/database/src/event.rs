//! What toolboxes say has happened.

use crate::{Caller, Database, Error};
use protocol::{
    Timestamp,
    event::{EventReply, EventUpload, Recorded, Usage},
    ids::*,
};
use serde_json::json;

impl Database {
    /// Records all of them or none; what was recorded before is passed over.
    pub async fn event_record(&self, caller: &Caller, upload: &EventUpload) -> Result<EventReply, Error> {
        self.call(caller, "event_record", upload).await
    }

    /// The newest first; `before` is the id of the last one that the reader has.
    pub async fn event_list(
        &self,
        caller: &Caller,
        toolbox: ToolboxId,
        kind: Option<&str>,
        before: Option<i64>,
        limit: u32,
    ) -> Result<Vec<Recorded>, Error> {
        let arguments = json!({"toolbox_id": toolbox, "kind": kind, "before": before, "limit": limit});
        self.call(caller, "event_list", &arguments).await
    }

    /// The thousand most called.
    pub async fn usage_get(
        &self,
        caller: &Caller,
        since: Option<Timestamp>,
        agent: Option<AgentId>,
    ) -> Result<Vec<Usage>, Error> {
        self.call(caller, "usage_get", &json!({"since": since, "agent_id": agent})).await
    }
}
