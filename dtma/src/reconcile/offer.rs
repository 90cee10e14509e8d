//! A server that answers is offered at the gateway, with what its tools say now, until its connection ends.

use super::{Workshop, status::running};
use crate::gateway::ServerEntry;
use mcp::{Connection, connection::Event};
use protocol::{
    Timestamp,
    chat::Secret,
    server::{ServerSpec, Tool},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::broadcast::{
        Receiver,
        error::{RecvError, TryRecvError},
    },
};

/// Between two looks at a server's tools, however often it says that they have changed.
const BETWEEN: Duration = Duration::from_secs(1);

/// A server whose tools were listed.
pub(super) struct Opened {
    connection: Connection,
    events: Receiver<Event>,
    tools: Vec<Tool>,
}

/// Opens a connection and lists the server's tools. To be run where connections live.
pub(super) async fn open(
    output: impl AsyncRead + Send + Unpin + 'static,
    input: impl AsyncWrite + Send + Unpin + 'static,
    options: mcp::connection::Options,
) -> Result<Opened, mcp::Error> {
    let connection = Connection::open(output, input, options).await?;
    let events = connection.events();
    let tools = connection.tools().await?;
    Ok(Opened { connection, events, tools })
}

/// Takes a server off the gateway however its attempt ends.
struct Offered<'a> {
    shop: &'a Workshop,
    name: &'a str,
    connection: Connection,
}

impl Drop for Offered<'_> {
    fn drop(&mut self) {
        self.shop.registry.withdraw(self.name, &self.connection);
        self.connection.close();
    }
}

/// Offers the server until its connection ends. `started_at` is asked for once it is offered.
pub(super) async fn until_it_ends(
    shop: &Workshop,
    spec: &ServerSpec,
    opened: Opened,
    secrets: Vec<Secret>,
    started_at: impl Future<Output = Option<Timestamp>>,
) {
    let Opened { connection, mut events, tools } = opened;
    let _offered = Offered { shop, name: &spec.name, connection: connection.clone() };
    let entry =
        ServerEntry { id: spec.id, connection: connection.clone(), tools: tools.clone(), secrets: Arc::new(secrets) };
    shop.registry.insert(&spec.name, entry);
    let started_at = started_at.await;
    let report = |tools: Vec<Tool>| {
        shop.statuses.update(spec.id, |status| {
            running(status, tools);
            status.started_at = started_at;
        });
    };
    report(tools);
    loop {
        tokio::select! {
            // Cancel-safe: it only looks.
            () = connection.closed() => return,
            // Cancel-safe: a broadcast receiver loses nothing.
            event = events.recv() => match event {
                Ok(Event::ListChanged("tools")) | Err(RecvError::Lagged(_)) => {}
                Ok(_) => continue,
                Err(RecvError::Closed) => return,
            },
        }
        // One look answers all that was said before it.
        while matches!(events.try_recv(), Ok(_) | Err(TryRecvError::Lagged(_))) {}
        if let Ok(Some(tools)) = shop.registry.refresh(&spec.name).await {
            report(tools);
        }
        tokio::select! {
            // Cancel-safe, both: they only look, or wait.
            () = connection.closed() => return,
            () = tokio::time::sleep(BETWEEN) => {}
        }
    }
}
