use crate::message::{AnswerSpans, Message, splice};
use bytes::Bytes;

/// A server's answer to one request: a result or an error, still in the server's own bytes.
#[derive(Clone, Debug)]
pub struct Answer {
    line: Bytes,
    spans: AnswerSpans,
}

/// JSON texts of `inputRequests` and `requestState`.
#[derive(Clone, Copy, Debug)]
pub struct InputRequired<'a> {
    pub requests: Option<&'a str>,
    pub state: Option<&'a str>,
}

impl Answer {
    /// None when the message is no answer with an id.
    pub(super) fn new(line: Bytes, message: &Message<'_>) -> Option<Self> {
        Some(Self { spans: message.answer_spans()?, line })
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.line
    }

    /// The JSON text of `result`.
    pub fn result(&self) -> Option<&str> {
        self.text(self.spans.result.as_ref()?.span.clone())
    }

    /// The JSON text of `error`.
    pub fn error(&self) -> Option<&str> {
        self.text(self.spans.error.clone()?)
    }

    /// What the server needs before it can answer, when that is all that the result says.
    pub fn input_required(&self) -> Option<InputRequired<'_>> {
        let result = self.spans.result.as_ref().filter(|result| result.input_required)?;
        let text = |span: &Option<std::ops::Range<usize>>| self.text(span.clone()?);
        Some(InputRequired { requests: text(&result.requests), state: text(&result.state) })
    }

    /// The answer under another id, and with another `requestState`: both JSON text.
    pub fn with_state(&self, id: &str, state: &str) -> Vec<u8> {
        let span = self.spans.result.as_ref().and_then(|result| result.state.clone());
        let mut edits: Vec<_> =
            span.map(|span| (span, state)).into_iter().chain([(self.spans.id.clone(), id)]).collect();
        edits.sort_by_key(|(span, _)| span.start);
        let mut out = Vec::with_capacity(self.line.len() + id.len() + state.len());
        splice(&self.line, edits.into_iter(), &mut out);
        out
    }

    /// The answer under another id (JSON text). With `typed`, a result that lacks `resultType` is said to be complete, as
    /// clients of 2026-07-28 expect, and with `cached` to be stale at once, unless the server says how long it keeps. Every
    /// other byte is the server's.
    pub fn under(&self, id: &str, typed: bool, cached: bool) -> Vec<u8> {
        let mut edits = vec![(self.spans.id.clone(), id)];
        if let Some(result) = self.spans.result.as_ref().filter(|result| typed && !result.typed) {
            let at = result.span.start + 1;
            let field = match (cached && !result.cached, result.empty) {
                (false, true) => "\"resultType\":\"complete\"",
                (false, false) => "\"resultType\":\"complete\",",
                (true, true) => "\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\"",
                (true, false) => "\"resultType\":\"complete\",\"ttlMs\":0,\"cacheScope\":\"private\",",
            };
            edits.push((at..at, field));
            edits.sort_by_key(|(span, _)| span.start);
        }
        let mut out = Vec::with_capacity(self.line.len() + id.len() + 32);
        splice(&self.line, edits.into_iter(), &mut out);
        out
    }

    fn text(&self, span: std::ops::Range<usize>) -> Option<&str> {
        // The line was read as UTF-8 before its spans were taken, and spans end between characters.
        std::str::from_utf8(self.line.get(span)?).ok()
    }
}
