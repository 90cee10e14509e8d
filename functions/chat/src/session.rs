//! What one turn leaves for the next. No secret is ever in it.

use domain::{
    launch::{Launch, launch},
    plan::{Planned, Prepared},
};
use protocol::{
    Timestamp,
    catalog::ServerJson,
    chat::{ChatStatus, RequiredCredential},
    ids::{AgentId, SessionId, ToolboxId},
    plan::{Choice, Plan},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub(crate) struct Session {
    /// The plan that waits, or that the agent was made from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) plan: Option<Plan>,
    /// The entries of the chosen servers as the user was told of them: what was shown is what is deployed.
    #[serde(default)]
    pub(crate) entries: BTreeMap<String, ServerJson>,
    /// Variables that the user says a server needs too, by catalog name.
    #[serde(default)]
    pub(crate) added: BTreeMap<String, BTreeSet<String>>,
    /// Variables that the user says a server works without.
    #[serde(default)]
    pub(crate) waived: BTreeMap<String, BTreeSet<String>>,
    #[serde(default)]
    pub(crate) missing: Vec<RequiredCredential>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) agent_id: Option<AgentId>,
    /// The agent in whose place the next one comes: the same plan, with more variables.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) replaces: Option<AgentId>,
    /// Where the user wants the servers, if that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) toolbox_id: Option<ToolboxId>,
}

impl Session {
    /// Takes a new plan; whatever the session waited for is forgotten.
    pub(crate) fn begin(&mut self, planned: Planned) {
        let slim = |prepared: Prepared| {
            let mut server = prepared.server;
            // Long, and nothing that a later turn needs.
            server.meta.remove("io.agentopia/tools");
            server
        };
        let entries = planned.chosen.into_iter().map(|(name, prepared)| (name, slim(prepared))).collect();
        *self = Self { plan: Some(planned.plan), entries, toolbox_id: self.toolbox_id, ..Self::default() };
    }

    pub(crate) fn clear(&mut self) {
        *self = Self { toolbox_id: self.toolbox_id, ..Self::default() };
    }

    /// A plan whose agent was not made yet.
    pub(crate) fn waits(&self) -> bool {
        self.plan.is_some() && self.agent_id.is_none()
    }

    /// The plan waits once more: its agent will be made anew.
    pub(crate) fn reopen(&mut self) {
        self.replaces = self.agent_id.take().or(self.replaces);
    }

    /// The chosen servers, each once, in the plan's order.
    pub(crate) fn chosen(&self) -> Vec<&Choice> {
        let mut seen = BTreeSet::new();
        let capabilities = self.plan.iter().flat_map(|plan| &plan.capabilities);
        capabilities.filter_map(|capability| capability.chosen.as_ref()).filter(|c| seen.insert(&c.name)).collect()
    }

    /// The entry of a chosen server and how it is run. Absent when a new version of the rules refuses it.
    pub(crate) fn launch(&self, name: &str) -> Option<(&ServerJson, Launch)> {
        let entry = self.entries.get(name)?;
        Some((entry, launch(entry).ok()?))
    }

    pub(crate) fn status(&self) -> ChatStatus {
        if self.waits() && !self.missing.is_empty() { ChatStatus::PendingCredentials } else { ChatStatus::Success }
    }
}

/// `GET /api/sessions/{id}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionReply {
    pub id: SessionId,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    pub status: ChatStatus,
    pub required_credentials: Vec<RequiredCredential>,
    #[serde(default)]
    pub agent_id: Option<AgentId>,
    #[serde(default)]
    pub plan: Option<Plan>,
    pub messages: Vec<SessionMessage>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionMessage {
    /// `user` or `assistant`.
    pub role: String,
    pub content: String,
    pub at: Timestamp,
}

/// `POST /api/sessions/create`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SessionCreated {
    pub session_id: SessionId,
    pub created_at: Timestamp,
}
