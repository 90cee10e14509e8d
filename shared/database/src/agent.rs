//! Agents.

use crate::{
    Caller, Database, Error,
    server::Wanted,
    toolbox::{Reachable, Revoked},
};
use protocol::{
    agent::{Agent, AgentUpdate},
    catalog::ServerJson,
    ids::*,
    plan::Plan,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// An agent and the servers that it needs.
#[derive(Clone, Debug, Serialize)]
pub struct NewAgent {
    pub name: String,
    pub request: String,
    pub plan: Option<Plan>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub workflow: Option<serde_json::Value>,
    /// The user's only one when absent.
    pub toolbox_id: Option<ToolboxId>,
    pub servers: Vec<Wanted>,
}

#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct MadeAgent {
    pub agent_id: AgentId,
    pub toolbox_id: ToolboxId,
    /// Absent until a machine has enrolled.
    pub gateway: Option<String>,
    /// The desired state that has its servers.
    pub generation: u64,
    /// In the order of the request.
    pub servers: Vec<MadeServer>,
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct MadeServer {
    pub id: ServerId,
    pub name: String,
}

impl Database {
    /// The catalog's entries for packages that are written `npm:name`, `pypi:name` or `oci:image`; unknown ones are absent.
    pub async fn catalog_package_find(
        &self,
        caller: &Caller,
        packages: &[String],
    ) -> Result<BTreeMap<String, ServerJson>, Error> {
        self.call(caller, "catalog_package_find", &json!({"packages": packages})).await
    }

    /// Row, servers, grants and desired state, at once.
    pub async fn agent_create(&self, caller: &Caller, agent: &NewAgent) -> Result<MadeAgent, Error> {
        self.call(caller, "agent_create", agent).await
    }

    /// The user's own first.
    pub async fn agent_list(&self, caller: &Caller) -> Result<Vec<Agent>, Error> {
        self.call(caller, "agent_list", &json!({})).await
    }

    pub async fn agent_get(&self, caller: &Caller, id: AgentId) -> Result<Agent, Error> {
        self.call(caller, "agent_get", &json!({"id": id})).await
    }

    pub async fn agent_update(&self, caller: &Caller, id: AgentId, update: &AgentUpdate) -> Result<Agent, Error> {
        #[derive(Serialize)]
        struct Arguments<'a> {
            id: AgentId,
            #[serde(flatten)]
            update: &'a AgentUpdate,
        }
        self.call(caller, "agent_update", &Arguments { id, update }).await
    }

    /// Its servers go too, unless another made agent uses them or their user deployed them directly.
    pub async fn agent_delete(&self, caller: &Caller, id: AgentId) -> Result<Vec<Reachable>, Error> {
        self.call(caller, "agent_delete", &json!({"id": id})).await.map(|revoked: Revoked| revoked.toolboxes)
    }
}
