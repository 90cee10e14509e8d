//! The Lambda entry. Beside what `database`, `edge::config`, `ephemeral`, `models` and `sealing::wrap::from_environment`
//! read: `AGENTOPIA_CAPABILITY_KEY` (PKCS#8, base64) and `AGENTOPIA_CAPABILITY_KID`.

use anyhow::{Context, Error};
use base64::{Engine, prelude::BASE64_STANDARD};
use capability::Minter;
use catalog::Selector;
use chat::{ROUTES, State, router};
use database::Database;
use ephemeral::Ephemeral;
use sealing::Vault;
use std::{env, sync::Arc};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let read = |name: &str| env::var(name).ok();
    let variable = |name: &'static str| env::var(name).with_context(|| format!("set {name}"));
    let database = Database::from_env()?;
    let context = edge::config::context(database.clone(), Ephemeral::from_env(database.clone()).await)?;
    let key = BASE64_STANDARD.decode(variable("AGENTOPIA_CAPABILITY_KEY")?).context("the key is not base64")?;
    let minter = Arc::new(Minter::from_pkcs8(variable("AGENTOPIA_CAPABILITY_KID")?, &key)?);
    let vault = Vault::new(database.clone(), sealing::wrap::from_environment().await?);
    let find = Arc::new(Selector::new(database, models::embedding::from_env()?));
    let state = State::hosted(context.clone(), minter, vault, find).with_model(models::language::from_env(read)?);
    edge::lambda::run(edge::app(router(state), &[ROUTES], &context)).await.map_err(Error::from_boxed)
}
