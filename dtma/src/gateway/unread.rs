//! Answers that their clients have not taken yet are bounded, in all and of one agent: who does not read loses answers of its
//! own, and neither fills the machine's memory nor costs another agent anything.

use super::{Gateway, denial};
use axum::{body::Bytes, http::StatusCode, response::Response};
use mcp::{code, reply};
use protocol::ids::AgentId;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Smaller ones are not counted: as many as there may be connections take little.
const SMALL: usize = 4 << 10;
/// Of all that may wait, one agent has this part.
const PART_OF_ONE: usize = 4;

/// Bytes that wait, by agent.
#[derive(Default)]
pub(super) struct Waiting(Mutex<HashMap<AgentId, usize>>);

impl Waiting {
    fn take(&self, agent: AgentId, bytes: usize, most: usize) -> bool {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let own = waiting.get(&agent).copied().unwrap_or_default();
        let room = own + bytes <= most / PART_OF_ONE && waiting.values().sum::<usize>() + bytes <= most;
        if room {
            waiting.insert(agent, own + bytes);
        }
        room
    }

    fn give_back(&self, agent: AgentId, bytes: usize) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = waiting.get_mut(&agent) {
            *own = own.saturating_sub(bytes);
        }
        waiting.retain(|_, own| *own > 0);
    }
}

/// An answer's part of the room, for as long as it waits.
pub(super) struct Room {
    gateway: Gateway,
    agent: AgentId,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.gateway.waiting.give_back(self.agent, self.bytes);
    }
}

pub(super) struct Unread {
    pub(super) bytes: Vec<u8>,
    pub(super) room: Option<Room>,
}

impl AsRef<[u8]> for Unread {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The answer to an agent's request `id` (JSON text), or why it is withheld.
pub(super) fn unread(gateway: &Gateway, agent: AgentId, id: &str, bytes: Vec<u8>) -> Unread {
    if bytes.len() < SMALL {
        return Unread { bytes, room: None };
    }
    if !gateway.waiting.take(agent, bytes.len(), gateway.settings.max_unread) {
        let what = "the answer is lost, because too many before it wait to be read";
        return Unread { bytes: reply::error(Some(id), code::INTERNAL, what, None), room: None };
    }
    let room = Room { gateway: gateway.clone(), agent, bytes: bytes.len() };
    Unread { bytes, room: Some(room) }
}

pub(super) fn respond(gateway: &Gateway, agent: AgentId, id: &str, status: StatusCode, bytes: Vec<u8>) -> Response {
    let unread = unread(gateway, agent, id, bytes);
    match unread.room {
        None => denial::json(status, unread.bytes),
        Some(_) => denial::json(status, Bytes::from_owner(unread)),
    }
}
