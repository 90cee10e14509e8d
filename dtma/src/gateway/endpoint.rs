//! Where a request goes: `/mcp` and `/mcp/{server}` straight to `dispatch`, for they are every call; whatever is rare through
//! a router.

use super::{Gateway, Parts, Peer, control, dispatch, stream};
use axum::{
    Router,
    extract::Request,
    http::Method,
    response::Response,
    routing::{get, post},
};
use std::{convert::Infallible, future::ready, pin::Pin, time::Duration};
use tower::ServiceExt;

const MCP: &str = "/mcp";

/// Answers what clients ask: `/mcp`, `/mcp/{server}`, `/healthz`, `/metrics`, `/wake`, `/servers/{name}/logs`. Cheap to clone.
#[derive(Clone)]
pub struct Endpoint {
    gateway: Gateway,
    rest: Router,
}

impl Endpoint {
    pub fn new(parts: Parts) -> Self {
        let gateway = Gateway::new(parts);
        let rest = Router::new()
            .route("/healthz", get(control::health))
            .route("/metrics", get(control::metrics))
            .route("/wake", post(control::wake))
            .route("/servers/{name}/logs", get(control::logs))
            .with_state(gateway.clone());
        Self { gateway, rest }
    }

    /// How long a client may take nothing of what it is sent.
    pub(super) fn stuck(&self) -> Duration {
        self.gateway.settings.stuck
    }

    /// Boxed, for its room is needed only while it is answered.
    pub fn answer(&self, mut request: Request, peer: &Peer) -> Pin<Box<dyn Future<Output = Response> + Send>> {
        match server(request.uri().path()) {
            Some(_) if *request.method() == Method::POST => {
                let (gateway, shown) = (self.gateway.clone(), peer.shown.clone());
                Box::pin(async move { dispatch::post(&gateway, request, &shown).await })
            }
            Some(server) => Box::pin(ready(stream::other(&self.gateway, server, &request))),
            None => {
                request.extensions_mut().insert(peer.address);
                let answer = self.rest.clone().oneshot(request);
                Box::pin(async move { answer.await.unwrap_or_else(|never: Infallible| match never {}) })
            }
        }
    }
}

/// The one server that a path of MCP names, if it names one; none for another path.
pub(super) fn server(path: &str) -> Option<Option<&str>> {
    match path.strip_prefix(MCP)? {
        "" => Some(None),
        rest => rest.strip_prefix('/').map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::server;

    #[test]
    fn a_path_names_one_server_or_none() {
        assert_eq!(server("/mcp"), Some(None));
        assert_eq!(server("/mcp/time"), Some(Some("time")));
        // No server has such a name.
        assert_eq!(server("/mcp/"), Some(Some("")));
        assert_eq!(server("/mcp/a/b"), Some(Some("a/b")));
        for other in ["/", "/mcpx", "/metrics", "/MCP"] {
            assert_eq!(server(other), None, "{other}");
        }
    }
}
