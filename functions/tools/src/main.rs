//! The Lambda entry. Beside what `database`, `edge::config`, `ephemeral` and `models::embedding` read:
//! `AGENTOPIA_CAPABILITY_KEY` (PKCS#8, base64) and `AGENTOPIA_CAPABILITY_KID`.

use anyhow::{Context, Error};
use base64::{Engine, prelude::BASE64_STANDARD};
use capability::Minter;
use catalog::{Selector, import::Importer};
use database::Database;
use ephemeral::Ephemeral;
use std::{env, sync::Arc};
use tools::{ROUTES, State, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &'static str| env::var(name).with_context(|| format!("set {name}"));
    let database = Database::from_env()?;
    let context = edge::config::context(database.clone(), Ephemeral::from_env(database.clone()).await)?;
    let key = BASE64_STANDARD.decode(variable("AGENTOPIA_CAPABILITY_KEY")?).context("the key is not base64")?;
    let minter = Minter::from_pkcs8(variable("AGENTOPIA_CAPABILITY_KID")?, &key)?;
    let embedder = models::embedding::from_env()?;
    let selector = Selector::new(database.clone(), embedder.clone());
    let state = State::hosted(context.clone(), selector, Importer::new(database, embedder), Arc::new(minter));
    edge::lambda::run(edge::app(router(state), &[ROUTES], &context)).await.map_err(Error::from_boxed)
}
