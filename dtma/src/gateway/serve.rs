//! The listener: small answers leave at once, slow clients hold nothing for long, and their number is bounded.

use super::door::PeerAddress;
use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use std::{io, sync::Arc, time::Duration};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};
use tower::ServiceExt;

/// Connections that may be open at once; further ones wait in the system's queue.
const CONNECTIONS: usize = 4096;
const HEADERS: Duration = Duration::from_secs(10);

/// Serves until `shutdown` resolves, then lets answers that are under way finish for as long as `grace`.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        while connections.try_join_next().is_some() {}
        let accepted = tokio::select! {
            // Cancel-safe: a permit that is not taken stays, a connection that is not accepted waits.
            accepted = async {
                let permit = room.clone().acquire_owned().await;
                (permit, listener.accept().await)
            } => accepted,
            () = &mut shutdown => break,
        };
        let (Ok(permit), Ok((stream, address))) = accepted else {
            // Out of file handles, most likely: trying again at once would only spin.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        // Without it an answer can wait 40 ms for the client's acknowledgement of the one before.
        stream.set_nodelay(true).ok();
        let service = router.clone().layer(Extension(PeerAddress(address)));
        connections.spawn(async move {
            let _permit = permit;
            let service = TowerToHyperService::new(
                service.map_request(|request: hyper::Request<_>| request.map(axum::body::Body::new)),
            );
            let served = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADERS)
                .max_headers(64)
                .serve_connection(TokioIo::new(stream), service)
                .await;
            if let Err(error) = served {
                tracing::debug!(%error, "a connection ended");
            }
        });
    }
    drop(listener);
    // Connections that idle would hold it up for the whole grace; that is what the grace is for.
    let _ = tokio::time::timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}
