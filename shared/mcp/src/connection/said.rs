//! What a server says about a call before it answers it.

use crate::message::{Message, Span, splice};
use bytes::Bytes;

/// In the server's own bytes.
#[derive(Clone, Debug)]
pub struct Said {
    pub kind: Kind,
    line: Bytes,
    id: Option<Span>,
    params: Option<Span>,
    token: Option<Span>,
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
    pub(super) fn new(kind: Kind, line: &Bytes, message: &Message<'_>) -> Self {
        let (id, params, token) = message.spans();
        Self { kind, line: line.clone(), id, params, token }
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
