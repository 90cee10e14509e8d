#![doc = include_str!("../README.md")]

mod agent;
mod events;
mod find;
mod propose;
mod reply;
mod routes;
mod runner;
mod runs;
mod session;
mod turn;

pub use find::{Find, Found};
pub use session::{SessionCreated, SessionMessage, SessionReply};

use axum::{
    Router,
    extract::FromRef,
    routing::{get, post},
};
use capability::Minter;
use database::Database;
use edge::{Context, Route, Wake, Who, reach::Gateways};
use models::language::Language;
use runner::Runner;
use sealing::Vault;
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
pub struct State {
    edge: Context,
    find: Arc<dyn Find>,
    vault: Vault<Database>,
    wake: Wake,
    model: Option<Arc<dyn Language>>,
    runner: Runner,
    /// The process lives on after an answer.
    background: bool,
}

impl State {
    /// For the embedded default: one process, and the toolbox is on this machine.
    pub fn local(edge: Context, minter: Arc<Minter>, vault: Vault<Database>, find: Arc<dyn Find>) -> Self {
        let runner =
            Runner { gateways: Gateways::local(edge.database.clone(), runner::PATIENCE), minter: minter.clone() };
        Self { background: true, ..Self::new(Wake::local(&edge, minter), edge, runner, vault, find) }
    }

    /// For hosted functions: toolboxes have public addresses.
    pub fn hosted(edge: Context, minter: Arc<Minter>, vault: Vault<Database>, find: Arc<dyn Find>) -> Self {
        let runner =
            Runner { gateways: Gateways::hosted(edge.database.clone(), runner::PATIENCE), minter: minter.clone() };
        Self::new(Wake::hosted(&edge, minter), edge, runner, vault, find)
    }

    /// With a language model, which proposes plans and runs agents.
    pub fn with_model(mut self, model: Option<Arc<dyn Language>>) -> Self {
        self.model = model;
        self
    }

    fn new(wake: Wake, edge: Context, runner: Runner, vault: Vault<Database>, find: Arc<dyn Find>) -> Self {
        Self { edge, find, vault, wake, model: None, runner, background: false }
    }
}

impl FromRef<State> for Context {
    fn from_ref(state: &State) -> Self {
        state.edge.clone()
    }
}

pub const ROUTES: &[Route] = &[
    Route::post("/api/chat", Who::User, "One turn of a conversation; AG-UI events with Accept: text/event-stream"),
    Route::post("/api/sessions/create", Who::User, "Begin a conversation"),
    Route::get("/api/sessions/{id}", Who::User, "A conversation, its plan and what it waits for"),
    Route::delete("/api/sessions/{id}", Who::User, "Forget a conversation"),
    Route::post("/api/agents/{id}/runs", Who::User, "Run an agent"),
    Route::get("/api/runs/{id}", Who::User, "One run"),
    Route::get("/api/runs/{id}/events", Who::User, "A run's journal, as server-sent events"),
    Route::post("/api/runs/{id}/cancel", Who::User, "Ask a run to stop"),
];

pub fn router(state: State) -> Router {
    Router::new()
        .route("/api/chat", post(routes::chat))
        .route("/api/sessions/create", post(routes::create))
        .route("/api/sessions/{id}", get(routes::get).delete(routes::delete))
        .route("/api/agents/{id}/runs", post(runs::create))
        .route("/api/runs/{id}", get(runs::get))
        .route("/api/runs/{id}/events", get(runs::events))
        .route("/api/runs/{id}/cancel", post(runs::cancel))
        .with_state(state)
}
