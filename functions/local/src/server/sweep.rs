//! What time alone causes, on a timer.

use database::Database;
use edge::Context;
use sealing::Vault;
use std::time::Duration;
use tokio::sync::watch;

const INTERVAL: Duration = Duration::from_secs(60);

/// Sweeps until told to stop.
pub(super) async fn keep(context: Context, vault: Vault<Database>, mut stopped: watch::Receiver<bool>) {
    loop {
        if let Err(error) = sweeper::run_once(&context.database, &vault).await {
            tracing::warn!(%error, "nothing was swept");
        }
        tokio::select! {
            // Cancel-safe: a sleep.
            () = tokio::time::sleep(INTERVAL) => {}
            // Cancel-safe: the value stays true.
            _ = stopped.wait_for(|stop| *stop) => return,
        }
    }
}
