//! The connection to a toolbox's gateway on which a server's log comes.

use capability::{Minter, control};
use edge::{
    Context,
    reach::{Gateways, Patience},
};
use protocol::ids::ToolboxId;
use std::{sync::Arc, time::Duration};

/// A toolbox that does not answer by then is taken for away.
const CONNECT: Duration = Duration::from_secs(3);
/// The gateway says something more often than that, if only a comment. The stream as a whole has no end; its reader has.
const PATIENCE: Patience = Patience { connect: CONNECT, whole: None, silence: Some(Duration::from_secs(90)) };

#[derive(Clone)]
pub(crate) struct Relay {
    minter: Arc<Minter>,
    gateways: Gateways,
}

impl Relay {
    pub(crate) fn local(context: &Context, minter: Arc<Minter>) -> Self {
        Self { minter, gateways: Gateways::local(context.database.clone(), PATIENCE) }
    }

    pub(crate) fn hosted(context: &Context, minter: Arc<Minter>) -> Self {
        Self { minter, gateways: Gateways::hosted(context.database.clone(), PATIENCE) }
    }

    /// The stream of server-sent events that the gateway gives for `server`, or why there is none.
    pub(crate) async fn open(
        &self,
        toolbox: ToolboxId,
        gateway: &str,
        server: &str,
        now: i64,
    ) -> Result<reqwest::Response, String> {
        let gateway = self.gateways.open(toolbox, gateway).await.map_err(|error| error.to_string())?;
        let token = control::sign(&self.minter, toolbox, control::Action::Logs, now).map_err(|e| e.to_string())?;
        let request = gateway.client().get(gateway.url(&format!("/servers/{server}/logs"))).bearer_auth(token);
        let request = request.header("accept", "text/event-stream").send();
        let reply = tokio::time::timeout(CONNECT, request).await.map_err(|_| "no answer in time".to_owned())?;
        let reply = reply.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
        let kind = reply.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err("the gateway answered with something else".to_owned());
        }
        Ok(reply)
    }
}
