//! A request's body: bounded before it is read, read once.

use super::{Gateway, denial::Denial};
use axum::{
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use futures::poll;
use http_body_util::BodyExt;
use std::{pin::pin, task::Poll};
use tokio::sync::SemaphorePermit;
use tokio::time::timeout;

/// The body and the room that it takes in the gateway's memory.
pub(super) struct Held<'a> {
    pub(super) bytes: Bytes,
    /// It came later than its head.
    pub(super) late: bool,
    _room: SemaphorePermit<'a>,
}

pub(super) fn is_json(headers: &HeaderMap) -> Result<(), Denial> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Denial::http(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "the body is not said to be JSON",
        "Send Content-Type: application/json.",
    ))
}

pub(super) async fn read(gateway: &Gateway, body: Body) -> Result<Held<'_>, Denial> {
    let most = gateway.settings.max_body;
    let hint = body.size_hint();
    if hint.lower() > most as u64 {
        return Err(too_large());
    }
    // A body without a length may become as long as is allowed.
    let expected = hint.exact().map_or(most, |length| length as usize);
    let reading = async {
        let room = gateway.room.acquire_many(expected as u32).await.ok()?;
        Some((room, collect(body, expected, most).await))
    };
    let mut reading = pin!(reading);
    // Most bodies came with their head: then nothing waits, and no clock is looked at.
    let (read, late) = match poll!(&mut reading) {
        Poll::Ready(read) => (read, false),
        Poll::Pending => (timeout(gateway.settings.body_timeout, reading).await.ok().flatten(), true),
    };
    match read {
        Some((mut room, bytes)) => {
            let bytes = bytes?;
            // A call may take minutes: it holds the room that it needs, not what it might have needed.
            drop(room.split(expected.saturating_sub(bytes.len())));
            Ok(Held { bytes, late, _room: room })
        }
        None => Err(Denial::http(
            StatusCode::REQUEST_TIMEOUT,
            "the body did not arrive in time",
            "Send it without pauses, or try again when the toolbox is less busy.",
        )),
    }
}

async fn collect(mut body: Body, expected: usize, most: usize) -> Result<Bytes, Denial> {
    let broken = || Denial::http(StatusCode::BAD_REQUEST, "the body ended early", "Send the whole body.");
    let mut first = Bytes::new();
    let mut whole = Vec::new();
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|_| broken())?.into_data() else { continue };
        if first.is_empty() && whole.is_empty() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            whole.reserve(expected);
            whole.extend_from_slice(&std::mem::take(&mut first));
        }
        if whole.len() + data.len() > most {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    // Small bodies come in one piece and are not copied.
    let bytes = if whole.is_empty() { first } else { whole.into() };
    if bytes.len() > most { Err(too_large()) } else { Ok(bytes) }
}

fn too_large() -> Denial {
    Denial::http(StatusCode::PAYLOAD_TOO_LARGE, "the body is larger than allowed", "Send less at a time.")
}

/// The token ended while the request was on its way.
pub(super) fn expired() -> Denial {
    Denial::token("the capability is not good any more", "Bearer error=\"invalid_token\"")
}
