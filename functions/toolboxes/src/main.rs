//! The Lambda entry. Beside what `database`, `edge::config` and `ephemeral` read: `AGENTOPIA_URL` (where toolboxes
//! check in), `AGENTOPIA_CAPABILITY_KEY` (PKCS#8, base64) and `AGENTOPIA_CAPABILITY_KID`. To make machines for toolboxes
//! also `AGENTOPIA_RELEASE_URL` and `AGENTOPIA_RELEASE_KEY` (the release of dtma that they install, and the key that it is
//! signed with), and what `sealing::wrap::from_environment` reads.

use anyhow::{Context, Error};
use base64::{Engine, prelude::BASE64_STANDARD};
use capability::Minter;
use database::Database;
use ephemeral::Ephemeral;
use std::{env, sync::Arc};
use toolboxes::{DIGITALOCEAN, Installation, Provisioning, ROUTES, State, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let variable = |name: &'static str| env::var(name).with_context(|| format!("set {name}"));
    let database = Database::from_env()?;
    let context = edge::config::context(database.clone(), Ephemeral::from_env(database).await)?;
    let key = BASE64_STANDARD.decode(variable("AGENTOPIA_CAPABILITY_KEY")?).context("the key is not base64")?;
    let minter = Minter::from_pkcs8(variable("AGENTOPIA_CAPABILITY_KID")?, &key)?;
    let url = variable("AGENTOPIA_URL")?;
    let mut state = State::hosted(context.clone(), Arc::new(minter), &url);
    if let Some(release) = env::var("AGENTOPIA_RELEASE_URL").ok().filter(|release| !release.is_empty()) {
        let installation = Installation::new(&url, &release, &variable("AGENTOPIA_RELEASE_KEY")?)?;
        let wrap = sealing::wrap::from_environment().await?;
        let provisioning = Provisioning::new(context.database.clone(), wrap, DIGITALOCEAN, installation);
        state = state.with_provisioning(provisioning.context("DigitalOcean's address cannot be used")?);
    }
    edge::lambda::run(edge::app(router(state), &[ROUTES], &context)).await.map_err(Error::from_boxed)
}
