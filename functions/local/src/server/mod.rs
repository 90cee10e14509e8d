//! Every function in one process, on loopback.

mod routes;
mod search;
mod sweep;

pub use routes::TABLES;

use crate::{
    accounts::{Accounts, tokens::Signer},
    home::{Home, keys::Keys},
    trouble::Trouble,
};
use axum::{Router, serve::ListenerExt};
use capability::Minter;
use database::Database;
use edge::{Clock, Context, Place};
use ephemeral::Ephemeral;
use protocol::ids::UserId;
use sealing::Vault;
use std::{sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};

/// The id of the one key that this installation signs capabilities with.
const KID: &str = "local";

/// What the functions are made of.
pub struct Parts<'a> {
    pub home: &'a Home,
    pub url: &'a str,
    pub keys: &'a Keys,
    pub database: Database,
    pub accounts: Accounts,
    pub owner: UserId,
}

/// The functions, serving.
pub struct Server {
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
    sweeping: JoinHandle<()>,
}

/// The account service over `database`, at `url`.
pub fn accounts(database: &Database, keys: &Keys, url: &str) -> Result<Accounts, Trouble> {
    let signer = Signer::from_pkcs8(&keys.accounts, format!("{url}/auth/v1")).map_err(|error| bad_key(&error))?;
    Accounts::new(database.clone(), signer, Clock::system()).map_err(|error| bad_key(&error))
}

/// All functions behind one edge, and what they share.
pub async fn app(parts: &Parts<'_>) -> Result<(Router, Context), Trouble> {
    let minter = Minter::from_pkcs8(KID, &parts.keys.capability).map_err(|error| bad_key(&error))?;
    let ephemeral = Ephemeral::postgres(parts.database.clone());
    let context =
        Context::new(parts.database.clone(), parts.accounts.verifier(), ephemeral).with_operators([parts.owner]);
    let context = context.with_place(Place::new(parts.url).ok_or_else(|| {
        Trouble::new(format!("{} is not an address.", parts.url), "Start it again with another --port.")
    })?);
    let router = routes::router(parts, &context, Arc::new(minter)).await?;
    Ok((router, context))
}

/// Serves on `listener`; returns at once.
pub async fn start(parts: Parts<'_>, listener: TcpListener) -> Result<Server, Trouble> {
    let (router, context) = app(&parts).await?;
    let (stop, stopped) = watch::channel(false);
    let mut asked = stopped.clone();
    let asked = async move {
        // Cancel-safe: the value stays true.
        let _ = asked.wait_for(|stop| *stop).await;
    };
    // Without TCP_NODELAY a small answer waits for the client's delayed acknowledgement: 40 ms.
    let listener = listener.tap_io(|stream| {
        let _ = stream.set_nodelay(true);
    });
    let serving = tokio::spawn(async move {
        if let Err(error) = axum::serve(listener, router).with_graceful_shutdown(asked).await {
            tracing::error!(%error, "the server ended");
        }
    });
    let vault = Vault::new(parts.database.clone(), parts.keys.vault.clone());
    let sweeping = tokio::spawn(sweep::keep(context, vault, stopped));
    Ok(Server { stop, serving, sweeping })
}

impl Server {
    /// Lets requests under way finish for `patience`, then ends them.
    pub async fn stop(self, patience: Duration) {
        self.stop.send_replace(true);
        let mut serving = self.serving;
        if tokio::time::timeout(patience, &mut serving).await.is_err() {
            serving.abort();
        }
        self.sweeping.abort();
    }
}

fn bad_key(error: &(dyn std::error::Error + 'static)) -> Trouble {
    Trouble::new(
        "A key of this installation cannot be used.",
        "Put the files in keys/ back from a backup; `agentopia doctor` says which one is broken.",
    )
    .caused_by(error)
}
