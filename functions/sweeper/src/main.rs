//! The Lambda entry. It reads what `database`, `edge::config` and `ephemeral` read.

use anyhow::Error;
use database::Database;
use ephemeral::Ephemeral;
use sweeper::{ROUTES, State, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let database = Database::from_env()?;
    let context = edge::config::context(database.clone(), Ephemeral::from_env(database).await)?;
    let app = edge::app(router(State::new(context.clone())), &[ROUTES], &context);
    edge::lambda::run(app).await.map_err(Error::from_boxed)
}
