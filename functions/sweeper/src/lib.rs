#![doc = include_str!("../README.md")]

use axum::{Json, Router, extract::State as From, routing::post};
use database::{Caller, Database, grant::Swept};
use edge::{Context, Route, Who};
use ephemeral::Ephemeral;
use sealing::Vault;

/// Rows of expiring state that one sweep removes at most; the next one goes on.
const EXPIRING: u32 = 10_000;
/// Tenants' keys that one sweep wraps anew at most, after the vault got another wrapping key.
const REWRAPPED: u32 = 100;

/// What the handler needs.
#[derive(Clone)]
pub struct State {
    edge: Context,
    vault: Vault<Database>,
}

impl State {
    pub fn new(edge: Context, vault: Vault<Database>) -> Self {
        Self { edge, vault }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the rows cannot be swept")]
    Database(#[from] database::Error),
    #[error("expiring state cannot be swept")]
    Ephemeral(#[from] ephemeral::Error),
    #[error("keys cannot be wrapped anew")]
    Vault(#[from] sealing::Error<database::Error>),
}

/// Open, and only ever mounted where nobody can reach it but the schedule.
pub const ROUTES: &[Route] = &[Route::post("/sweep", Who::Open, "End what has expired")];

pub fn router(state: State) -> Router {
    Router::new().route("/sweep", post(sweep)).with_state(state)
}

async fn sweep(From(state): From<State>) -> Result<Json<Swept>, edge::Error> {
    run_once(&state.edge.database, &state.vault).await.map(Json).map_err(|error| match error {
        Error::Database(error) => error.into(),
        error => edge::Error::internal(error),
    })
}

/// Ends what has expired, and says how many rows of each kind that were.
pub async fn run_once(database: &Database, vault: &Vault<Database>) -> Result<Swept, Error> {
    let service = Caller::service();
    let mut swept = database.sweep_run(&service).await?;
    swept.0.insert("credentials".to_owned(), database.credential_expire(&service).await?);
    // In DynamoDB the table's own time-to-live does it, and this finds nothing.
    let expiring = Ephemeral::postgres(database.clone()).sweep(EXPIRING).await?;
    swept.0.insert("expiring".to_owned(), expiring);
    let rewrapped = vault.rewrap(REWRAPPED).await?;
    swept.0.insert("rewrapped".to_owned(), rewrapped.done as u64);
    if swept.0.values().any(|count| *count > 0) {
        tracing::info!(swept = ?swept.0, "swept");
    }
    Ok(swept)
}
