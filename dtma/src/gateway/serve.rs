//! The listener: small answers leave at once, slow clients hold nothing for long, and their number is bounded.

use super::{Endpoint, Front, Peer};
use axum::body::Body;
use hyper::{Request, body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    sync::Semaphore,
    task::JoinSet,
};
use tokio_io_timeout::TimeoutWriter;
use tokio_rustls::TlsAcceptor;

/// Connections that may be open at once; further ones wait in the system's queue.
const CONNECTIONS: usize = 16_384;
/// How long a connection may be silent between requests, or take to send a request's head.
const SILENCE: Duration = Duration::from_secs(75);
/// How long a client may take to agree on keys.
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Room for a head, in which a capability of 64 KiB must fit.
const BUFFER: usize = 256 << 10;

/// Serves until `shutdown` resolves, then lets answers that are under way finish for as long as `grace`.
pub async fn serve(
    front: Front,
    endpoint: Endpoint,
    shutdown: impl Future<Output = ()>,
    grace: Duration,
) -> io::Result<()> {
    let Front { listener, tls } = front;
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
        let (endpoint, tls) = (endpoint.clone(), tls.clone());
        connections.spawn(async move {
            let _permit = permit;
            match tls {
                None => converse(stream, address, endpoint).await,
                // Boxed, so that a plain connection does not take the room of a secure one.
                Some(tls) => Box::pin(secure(tls, stream, address, endpoint)).await,
            }
        });
    }
    drop(listener);
    // Connections that idle would hold it up for the whole grace; that is what the grace is for.
    let _ = tokio::time::timeout(grace, async { while connections.join_next().await.is_some() {} }).await;
    Ok(())
}

async fn secure(tls: TlsAcceptor, stream: TcpStream, address: SocketAddr, endpoint: Endpoint) {
    match tokio::time::timeout(HANDSHAKE, tls.accept(stream)).await {
        Ok(Ok(stream)) => converse(stream, address, endpoint).await,
        Ok(Err(error)) => tracing::debug!(%error, "a connection did not become a secure one"),
        Err(_) => tracing::debug!("a connection did not become a secure one in time"),
    }
}

/// One client's connection, request after request.
async fn converse<S>(stream: S, address: SocketAddr, endpoint: Endpoint)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let peer = Peer::new(address);
    let mut stream = TimeoutWriter::new(stream);
    stream.set_timeout(Some(endpoint.stuck()));
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = endpoint.answer(request.map(Body::new), &peer);
        async move { Ok::<_, Infallible>(answer.await) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(SILENCE)
        .max_buf_size(BUFFER)
        .max_headers(64)
        .serve_connection(TokioIo::new(Box::pin(stream)), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "a connection ended");
    }
}
