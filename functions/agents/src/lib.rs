#![doc = include_str!("../README.md")]

mod agents;
mod config;
mod create;
mod entries;

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use capability::Minter;
use database::{Database, toolbox::Reachable};
use edge::{Context, Route, Wake, Who};
use sealing::Vault;
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
pub struct State {
    edge: Context,
    wake: Wake,
    vault: Vault<Database>,
}

impl State {
    /// For the embedded default: the toolbox is on this machine.
    pub fn local(edge: Context, minter: Arc<Minter>, vault: Vault<Database>) -> Self {
        Self { wake: Wake::local(&edge, minter), edge, vault }
    }

    /// For hosted functions: toolboxes have public addresses.
    pub fn hosted(edge: Context, minter: Arc<Minter>, vault: Vault<Database>) -> Self {
        Self { wake: Wake::hosted(&edge, minter), edge, vault }
    }

    /// Lets toolboxes look at what has changed now instead of at their next check-in.
    async fn tell(&self, toolboxes: &[Reachable]) {
        futures::future::join_all(toolboxes.iter().map(|one| self.wake.toolbox(one.id, &one.gateway))).await;
    }
}

impl FromRef<State> for Context {
    fn from_ref(state: &State) -> Self {
        state.edge.clone()
    }
}

pub const ROUTES: &[Route] = &[
    Route::post("/api/agents/create", Who::User, "Make an agent from an MCP client's configuration"),
    Route::get("/api/agents", Who::User, "Your agents, your own first"),
    Route::get("/api/agents/{id}", Who::User, "One of your agents"),
    Route::patch("/api/agents/{id}", Who::User, "Change an agent's name or request"),
    Route::delete("/api/agents/{id}", Who::User, "Delete an agent and the servers that only it used"),
];

pub fn router(state: State) -> Router {
    Router::new()
        .route("/api/agents", get(agents::list))
        .route("/api/agents/create", post(create::create))
        .route("/api/agents/{id}", get(agents::get).patch(agents::update).delete(agents::delete))
        .with_state(state)
}
