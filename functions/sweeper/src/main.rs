//! The Lambda entry. It reads what `database`, `edge::config`, `ephemeral` and `sealing::wrap::from_environment` read.

use anyhow::Error;
use database::Database;
use ephemeral::Ephemeral;
use sealing::Vault;
use sweeper::{ROUTES, State, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let database = Database::from_env()?;
    let vault = Vault::new(database.clone(), sealing::wrap::from_environment().await?);
    let context = edge::config::context(database.clone(), Ephemeral::from_env(database).await)?;
    let app = edge::app(router(State::new(context.clone(), vault)), &[ROUTES], &context);
    edge::lambda::run(app).await.map_err(Error::from_boxed)
}
