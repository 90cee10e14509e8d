//! Grants, what a capability may hold because of them, and what time alone takes away.

use crate::{
    Caller, Database, Error,
    toolbox::{Reachable, Revoked},
};
use protocol::{
    capability::{CapabilityRequest, GrantedTool},
    grant::{Grant, GrantCreate},
    ids::*,
};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// Everything that a capability says; the caller signs it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Issued {
    pub agent_id: AgentId,
    pub owner: UserId,
    pub toolbox_id: ToolboxId,
    pub gateway: String,
    pub epoch: u64,
    /// Seconds since the epoch, by the database's clock.
    pub now: i64,
    pub expires_at: i64,
    pub tools: Vec<GrantedTool>,
}

/// How many rows a sweep has changed, by kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Swept(pub std::collections::BTreeMap<String, u64>);

impl Database {
    pub async fn grant_create(&self, caller: &Caller, grant: &GrantCreate) -> Result<Grant, Error> {
        self.call(caller, "grant_create", grant).await
    }

    /// The thousand newest, of one agent or of all of the user's.
    pub async fn grant_list(&self, caller: &Caller, agent: Option<AgentId>) -> Result<Vec<Grant>, Error> {
        self.call(caller, "grant_list", &json!({"agent_id": agent})).await
    }

    /// Revokes it, and with it every capability that its agent has.
    pub async fn grant_delete(&self, caller: &Caller, id: GrantId) -> Result<Vec<Reachable>, Error> {
        self.call(caller, "grant_delete", &json!({"id": id})).await.map(|revoked: Revoked| revoked.toolboxes)
    }

    pub async fn capability_issue(&self, caller: &Caller, request: &CapabilityRequest) -> Result<Issued, Error> {
        self.call(caller, "capability_issue", request).await
    }

    /// Marks and removes what time has ended. For `Caller::service`.
    pub async fn sweep_run(&self, caller: &Caller) -> Result<Swept, Error> {
        self.call(caller, "sweep_run", &json!({})).await
    }
}
