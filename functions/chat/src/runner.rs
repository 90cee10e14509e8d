//! Starts and drives runs of agents: the journal in the database, the tools at the toolbox.

use crate::State;
use async_trait::async_trait;
use capability::Minter;
use database::{
    Caller, Database,
    run::{NewEvent, NewRun},
    session::Message as Said,
};
use edge::{
    Error, mint,
    reach::{Gateways, Patience},
};
use models::language::{HOW_TO_CONFIGURE, Language, Message};
use protocol::{capability::CapabilityRequest, ids::*, run::Run as Row};
use runtime::{Brief, Entry, Gateway, Journal, JournalError, Limits, Outcome, Run};
use std::{sync::Arc, time::Duration};

/// A tool may work for minutes before it says anything; how long, the client of each call says.
pub(crate) const PATIENCE: Patience = Patience { connect: Duration::from_secs(5), whole: None, silence: None };

/// What runs need.
#[derive(Clone)]
pub(crate) struct Runner {
    pub(crate) minter: Arc<Minter>,
    pub(crate) gateways: Gateways,
}

/// A run that can start.
pub(crate) struct Begun {
    pub(crate) row: Row,
    brief: Brief,
    tools: Gateway,
    journal: Rows,
    model: Arc<dyn Language>,
}

impl Runner {
    /// Two round trips, and one more when the toolbox is called over TLS: the capability for its tools, and the run's row once
    /// nothing else can refuse it. `session` is the one that it belongs to, and whether it begins it.
    pub(crate) async fn begin(
        &self,
        state: &State,
        caller: Caller,
        agent: AgentId,
        session: Option<(SessionId, bool)>,
        message: String,
    ) -> Result<Begun, Error> {
        let database = state.edge.database.clone();
        let Some(model) = state.model.clone() else {
            // An agent that is not there is said first: that needs no model.
            database.agent_get(&caller, agent).await?;
            return Err(Error::conflict("No language model is configured, so an agent cannot run.", HOW_TO_CONFIGURE));
        };
        if message.trim().is_empty() {
            return Err(Error::invalid("The message is empty.", "Say what the agent should do."));
        }
        let id = RunId::new();
        let wanted = CapabilityRequest { agent_id: Some(agent), toolbox_id: None, run_id: Some(id) };
        let minted = mint::capability(&database, &self.minter, &caller, &wanted).await?;
        let gateway = self.gateways.open(minted.toolbox, &minted.gateway).await?;
        let client = mcp::client::Client::new(gateway.client().clone(), gateway.url("/mcp"), minted.token);
        let run = NewRun {
            id,
            agent_id: agent,
            session_id: session.map(|(id, _)| id),
            begins_session: session.is_some_and(|(_, begins)| begins),
            message: &message,
        };
        let begun = database.run_create(&caller, &run).await?;
        let history = begun.history.into_iter().map(told).collect();
        Ok(Begun {
            brief: Brief { run: id, purpose: begun.agent.request, history, message },
            tools: Gateway::new(client),
            journal: Rows { database, caller, run: id, fence: begun.fence },
            model,
            row: begun.run,
        })
    }
}

impl Begun {
    /// Walks to the end. `watch` sees each entry as it happens.
    pub(crate) async fn drive(self, watch: &(dyn Fn(&Entry) + Send + Sync)) -> Result<Outcome, JournalError> {
        let run = Run {
            model: self.model.as_ref(),
            tools: &self.tools,
            journal: &self.journal,
            limits: Limits::default(),
            watch,
        };
        run.walk(&self.brief).await
    }
}

/// What was said, as a model is told of it.
fn told(said: Said) -> Message {
    match said.role.as_str() {
        "user" => Message::User(said.content),
        _ => Message::Assistant { text: said.content, calls: Vec::new() },
    }
}

/// The journal's rows.
struct Rows {
    database: Database,
    caller: Caller,
    run: RunId,
    fence: i32,
}

#[async_trait]
impl Journal for Rows {
    async fn append(&self, entries: Vec<Entry>, end: Option<&'static str>) -> Result<bool, JournalError> {
        let events: Vec<NewEvent> =
            entries.into_iter().map(|e| NewEvent { kind: e.kind, data: storable(e.data) }).collect();
        let appended = self.database.run_append(&self.caller, self.run, self.fence, &events, end).await;
        appended.map(|appended| appended.cancel).map_err(|error| JournalError(error.into()))
    }
}

/// Postgres keeps no NUL in JSON.
fn storable(value: serde_json::Value) -> serde_json::Value {
    use serde_json::Value::{Array, Object, String};
    match value {
        String(text) if text.contains('\0') => String(text.replace('\0', "")),
        Array(items) => items.into_iter().map(storable).collect(),
        Object(map) => map.into_iter().map(|(key, value)| (key.replace('\0', ""), storable(value))).collect(),
        value => value,
    }
}
