//! What a server says about a call before it answers it.

use super::Shared;
use crate::message::{Message, Span, splice};
use bytes::Bytes;
use tokio::sync::OwnedSemaphorePermit;

/// Bytes that one line takes besides its own: what it keeps from being freed.
const BESIDES: usize = 4096;

/// In the server's own bytes.
#[derive(Debug)]
pub struct Said {
    pub kind: Kind,
    line: Bytes,
    id: Option<Span>,
    params: Option<Span>,
    token: Option<Span>,
    /// Of the room that one server has for what is not heard yet.
    _room: OwnedSemaphorePermit,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `notifications/progress` with the call's token.
    Progress,
    /// `notifications/message`.
    Log,
    /// `sampling/createMessage`.
    Sampling,
    /// `elicitation/create`.
    Elicitation,
    /// `roots/list`.
    Roots,
    /// `notifications/cancelled`: the server does not want to know what it asked any more.
    Withdrawn,
}

impl Kind {
    /// A method that asks the client for something.
    pub(super) fn question(method: &str) -> Option<Self> {
        match method {
            "sampling/createMessage" => Some(Self::Sampling),
            "elicitation/create" => Some(Self::Elicitation),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }

    pub fn method(self) -> &'static str {
        match self {
            Self::Progress => "notifications/progress",
            Self::Log => "notifications/message",
            Self::Sampling => "sampling/createMessage",
            Self::Elicitation => "elicitation/create",
            Self::Roots => "roots/list",
            Self::Withdrawn => "notifications/cancelled",
        }
    }
}

impl Said {
    /// None when the server has said so much that nobody has heard yet that there is no room.
    pub(super) fn new(shared: &Shared, kind: Kind, line: &Bytes, message: &Message<'_>) -> Option<Self> {
        let size = u32::try_from(line.len() + BESIDES).ok()?;
        let room = shared.unheard.clone().try_acquire_many_owned(size).ok()?;
        let (id, params, token) = message.spans();
        Some(Self { kind, line: line.clone(), id, params, token, _room: room })
    }

    /// The id that the server gave its question (JSON text).
    pub fn id(&self) -> Option<&str> {
        self.text(self.id.clone()?)
    }

    /// The JSON text of `params`.
    pub fn params(&self) -> &str {
        self.params.clone().and_then(|span| self.text(span)).unwrap_or("{}")
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.line
    }

    /// A question under another id (JSON text).
    pub fn under(&self, id: &str) -> Vec<u8> {
        self.with(&self.id, id)
    }

    /// Progress under the token that the caller chose (JSON text).
    pub fn with_token(&self, token: &str) -> Vec<u8> {
        self.with(&self.token, token)
    }

    fn with(&self, span: &Option<Span>, text: &str) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.line.len() + text.len());
        splice(&self.line, span.clone().map(|span| (span, text)).into_iter(), &mut out);
        out
    }

    fn text(&self, span: Span) -> Option<&str> {
        // The line was read as UTF-8 before its spans were taken, and spans end between characters.
        std::str::from_utf8(self.line.get(span)?).ok()
    }
}
