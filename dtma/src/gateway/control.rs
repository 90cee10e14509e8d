//! What the control plane asks of the daemon itself, with a token of its own kind; and what the machine's owner may read.

use super::{
    Gateway,
    denial::Denial,
    door::{self, PeerAddress},
    now,
};
use axum::{
    extract::{Extension, Path, State},
    http::{HeaderMap, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use capability::control::Action;
use futures::{Stream, StreamExt, stream};
use std::{convert::Infallible, pin::Pin};

/// Lines as they come: what is there, then what is written from now on.
pub type Lines = Pin<Box<dyn Stream<Item = String> + Send>>;

/// The daemon's side of it.
pub trait Control: Send + Sync {
    /// Check in now. False when it was asked for too often.
    fn wake(&self) -> bool;
    /// What a server writes; none when there is no such server. Lines are scrubbed here.
    fn logs(&self, server: &str) -> Option<Lines>;
}

pub(super) async fn wake(State(gateway): State<Gateway>, headers: HeaderMap) -> Response {
    let answer = || -> Result<Response, Denial> {
        asked(&gateway, &headers, Action::Wake)?;
        if gateway.control.wake() {
            return Ok(StatusCode::ACCEPTED.into_response());
        }
        Err(Denial::http(StatusCode::TOO_MANY_REQUESTS, "it was just woken", "Wait a moment."))
    };
    answer().unwrap_or_else(IntoResponse::into_response)
}

pub(super) async fn logs(State(gateway): State<Gateway>, Path(server): Path<String>, headers: HeaderMap) -> Response {
    let answer = || -> Result<Response, Denial> {
        asked(&gateway, &headers, Action::Logs)?;
        let permit =
            gateway.streams.clone().try_acquire_owned().map_err(|_| {
                Denial::http(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open", "Close some.")
            })?;
        let lines = gateway.control.logs(&server).ok_or_else(|| {
            Denial::http(StatusCode::NOT_FOUND, "no such server", "Look at the toolbox's list of servers.")
        })?;
        let registry = gateway.registry.clone();
        let events = lines.map(move |line| {
            // A carriage return would end the event's field early.
            let line = registry.scrub(&line).replace(['\r', '\n'], " ");
            Ok::<_, Infallible>(Event::default().data(line))
        });
        let held = stream::once(async move { drop(permit) }).filter_map(|()| async { None });
        Ok(Sse::new(events.chain(held)).keep_alive(KeepAlive::default()).into_response())
    };
    answer().unwrap_or_else(IntoResponse::into_response)
}

fn asked(gateway: &Gateway, headers: &HeaderMap, action: Action) -> Result<(), Denial> {
    door::place(gateway, headers)?;
    let token = door::bearer(headers).ok_or_else(|| Denial::token("the control plane's token is needed", "Bearer"))?;
    match capability::control::verify(&gateway.verifier, token, now()) {
        Ok(found) if found == action => Ok(()),
        _ => Err(Denial::token("the token is not good here", "Bearer error=\"invalid_token\"")),
    }
}

pub(super) async fn health() -> &'static str {
    "ok\n"
}

/// For this machine only: it tells how busy its owner is.
pub(super) async fn metrics(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    peer: Option<Extension<PeerAddress>>,
) -> Response {
    if let Err(denial) = door::place(&gateway, &headers) {
        return denial.into_response();
    }
    if !peer.is_some_and(|Extension(PeerAddress(address))| address.ip().to_canonical().is_loopback()) {
        return Denial::http(StatusCode::FORBIDDEN, "this is for the machine itself", "Ask from the machine.")
            .into_response();
    }
    let snapshot = gateway.registry.snapshot();
    let in_flight = snapshot.servers.values().map(|server| server.connection.in_flight()).sum();
    let redefined = gateway.registry.redefined();
    let text = gateway.metrics.text(snapshot.servers.len(), gateway.sessions.len(), in_flight, redefined);
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4")], text).into_response()
}
