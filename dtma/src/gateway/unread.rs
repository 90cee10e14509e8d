//! Answers that their clients have not taken yet are bounded: a client that does not read makes itself wait, and not the
//! machine's memory full.

use super::{Gateway, denial};
use axum::{body::Bytes, http::StatusCode, response::Response};
use mcp::{code, reply};
use tokio::sync::OwnedSemaphorePermit;

/// Smaller ones are not counted: as many as there may be connections take little.
const SMALL: usize = 4 << 10;

/// An answer's bytes, and its part of the room while they wait.
pub(super) struct Unread {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Option<OwnedSemaphorePermit>,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The answer to the request `id` (JSON text), or why it is withheld.
pub(super) fn unread(gateway: &Gateway, id: &str, bytes: Vec<u8>) -> Unread {
    if bytes.len() < SMALL {
        return Unread { bytes, room: None };
    }
    let wanted = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    match gateway.unread.clone().try_acquire_many_owned(wanted) {
        Ok(room) => Unread { bytes, room: Some(room) },
        Err(_) => {
            let what = "too many answers wait to be read; read them, then call again";
            Unread { bytes: reply::error(Some(id), code::INTERNAL, what, None), room: None }
        }
    }
}

pub(super) fn respond(gateway: &Gateway, id: &str, status: StatusCode, bytes: Vec<u8>) -> Response {
    let unread = unread(gateway, id, bytes);
    match unread.room {
        None => denial::json(status, unread.bytes),
        Some(_) => denial::json(status, Bytes::from_owner(unread)),
    }
}
