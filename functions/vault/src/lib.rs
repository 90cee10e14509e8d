#![doc = include_str!("../README.md")]

mod credentials;
mod keys;
mod release;

use axum::{
    Router,
    extract::FromRef,
    routing::{delete, get, post},
};
use capability::Minter;
use database::{Database, toolbox::Reachable};
use edge::{Context, Route, Wake, Who};
use sealing::{KeyWrap, Vault};
use std::sync::Arc;

/// What the handlers share.
#[derive(Clone)]
pub struct State {
    edge: Context,
    vault: Vault<Database>,
    /// Signs what is sealed for a toolbox.
    minter: Arc<Minter>,
    wake: Wake,
}

impl State {
    /// For the embedded default: the toolbox is on this machine.
    pub fn local(edge: Context, wrap: Arc<dyn KeyWrap>, minter: Arc<Minter>) -> Self {
        let wake = Wake::local(&edge, minter.clone());
        Self::new(edge, wrap, minter, wake)
    }

    /// For hosted functions: toolboxes have public addresses.
    pub fn hosted(edge: Context, wrap: Arc<dyn KeyWrap>, minter: Arc<Minter>) -> Self {
        let wake = Wake::hosted(&edge, minter.clone());
        Self::new(edge, wrap, minter, wake)
    }

    fn new(edge: Context, wrap: Arc<dyn KeyWrap>, minter: Arc<Minter>, wake: Wake) -> Self {
        let vault = Vault::new(edge.database.clone(), wrap);
        Self { edge, vault, minter, wake }
    }

    /// Lets toolboxes look now at a change that concerns them.
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
    Route::post(
        "/api/vault/credentials",
        Who::User,
        "Keep a credential; the same server and key again makes a new version",
    ),
    Route::get("/api/vault/credentials", Who::User, "Names and dates of your credentials"),
    Route::delete("/api/vault/credentials/{id}", Who::User, "Forget a credential"),
    Route::post("/api/vault/credentials/{id}/rotate", Who::User, "Replace a credential's value"),
    Route::get("/api/vault/audit", Who::User, "Who did what with your credentials, newest first")
        .with_query(&["limit"]),
    Route::post("/api/vault/keys", Who::User, "Make an API key, which a program sends as its bearer token; shown once"),
    Route::get("/api/vault/keys", Who::User, "Your API keys, without the keys themselves"),
    Route::delete("/api/vault/keys/{id}", Who::User, "End an API key"),
    Route::post(
        "/api/toolboxes/credentials",
        Who::Device,
        "The credentials of a server, sealed to the key in the request",
    ),
];

pub fn router(state: State) -> Router {
    Router::new()
        .route("/api/vault/credentials", post(credentials::create).get(credentials::list))
        .route("/api/vault/credentials/{id}", delete(credentials::delete))
        .route("/api/vault/credentials/{id}/rotate", post(credentials::rotate))
        .route("/api/vault/audit", get(credentials::audit))
        .route("/api/vault/keys", post(keys::create).get(keys::list))
        .route("/api/vault/keys/{id}", delete(keys::delete))
        .route("/api/toolboxes/credentials", post(release::release))
        .with_state(state)
}
