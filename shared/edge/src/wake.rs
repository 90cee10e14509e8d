//! Makes a toolbox look now instead of at its next check-in. It only saves time: nothing depends on its success.

use crate::{
    Context,
    reach::{Gateways, Patience},
};
use capability::{Minter, control};
use protocol::ids::ToolboxId;
use std::{sync::Arc, time::Duration};

/// What a user's request waits for it at most.
const LIMIT: Duration = Duration::from_millis(300);
const PATIENCE: Patience = Patience { connect: LIMIT, whole: Some(LIMIT), silence: None };

#[derive(Clone)]
pub struct Wake {
    minter: Arc<Minter>,
    gateways: Gateways,
}

impl Wake {
    /// For the embedded default: the toolbox is on this machine.
    pub fn local(context: &Context, minter: Arc<Minter>) -> Self {
        Self { minter, gateways: Gateways::local(context.database.clone(), PATIENCE) }
    }

    /// For hosted functions: toolboxes have public addresses.
    pub fn hosted(context: &Context, minter: Arc<Minter>) -> Self {
        Self { minter, gateways: Gateways::hosted(context.database.clone(), PATIENCE) }
    }

    /// Tells the toolbox at `gateway` (its base address, with or without `/mcp`) to check in. Takes 300 ms at most.
    pub async fn toolbox(&self, toolbox: ToolboxId, gateway: &str) {
        match tokio::time::timeout(LIMIT, self.call(toolbox, gateway)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::debug!(%toolbox, why, "toolbox not woken"),
            Err(_) => tracing::debug!(%toolbox, "toolbox not woken in time"),
        }
    }

    async fn call(&self, toolbox: ToolboxId, gateway: &str) -> Result<(), String> {
        let gateway = self.gateways.open(toolbox, gateway).await.map_err(|error| error.to_string())?;
        let now = jiff::Timestamp::now().as_second();
        let token =
            control::sign(&self.minter, toolbox, control::Action::Wake, now).map_err(|error| error.to_string())?;
        let request = gateway.client().post(gateway.url("/wake")).bearer_auth(token);
        let reply = request.send().await.map_err(|error| error.to_string())?;
        // The body is never read.
        reply.error_for_status().map(drop).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests;
