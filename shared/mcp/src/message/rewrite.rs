//! Sending a message on: by splicing, so that every byte that we do not mean to change goes on as it came.

use super::{META_CAPABILITIES, META_LOG_LEVEL, META_PROGRESS, META_VERSION, Message, Span};
use crate::Version;
use std::borrow::Cow;

impl<'a> Message<'a> {
    /// Ready to be sent on under an id of ours.
    pub fn rewrite(&'a self) -> Rewrite<'a> {
        let meta = self.params.as_ref().and_then(|params| params.meta.as_ref());
        let progress = meta.and_then(|meta| meta.progress.clone());
        Rewrite { text: self.text, id: self.id.clone(), progress, client: None, edits: Vec::new() }
    }

    /// With another `requestState`, or none.
    pub fn with_state(&self, mut rewrite: Rewrite<'a>, state: &str) -> Rewrite<'a> {
        if let Some((span, _)) = self.params.as_ref().and_then(|params| params.state.as_ref()) {
            rewrite.edits.push((span.clone(), Cow::Owned(quoted(state))));
        }
        rewrite
    }

    /// With what a server asked for, as it wants to be called again; for a message that has neither yet.
    pub fn with_inputs(&self, mut rewrite: Rewrite<'a>, inputs: &str, state: Option<&str>) -> Rewrite<'a> {
        if let Some(params) = &self.params {
            let at = params.span.start + 1;
            let state = state.map(|state| format!(",\"requestState\":{state}")).unwrap_or_default();
            let comma = if params.empty { "" } else { "," };
            rewrite.edits.push((at..at, Cow::Owned(format!("\"inputResponses\":{inputs}{state}{comma}"))));
        }
        rewrite
    }

    /// The same, with another tool name.
    pub fn rewrite_named(&'a self, name: &str) -> Rewrite<'a> {
        let mut rewrite = self.rewrite();
        if let Some(span) = self.params.as_ref().and_then(|p| p.name_span.clone()) {
            rewrite.edits.push((span, Cow::Owned(quoted(name))));
        }
        rewrite
    }

    /// For the server that it goes to, whichever revision that speaks and this message was written in.
    pub(crate) fn bridged(&'a self, rewrite: Rewrite<'a>, stateless: bool) -> Rewrite<'a> {
        if stateless { self.with_meta(rewrite) } else { self.without_envelope(rewrite) }
    }

    /// A server that was met with a handshake refuses what says its version again (mcp 2.3 for Python does). The rest of
    /// `_meta` stays.
    fn without_envelope(&'a self, mut rewrite: Rewrite<'a>) -> Rewrite<'a> {
        let meta = self.params.as_ref().and_then(|params| params.meta.as_ref());
        if let Some(meta) = meta.filter(|meta| meta.version.is_some()) {
            let others = meta.others.iter().filter(|(key, _)| key != META_PROGRESS);
            let members = others.map(|(key, span)| format!("{}:{}", quoted(key), &self.text[span.clone()]));
            let members = members.collect::<Vec<_>>().join(",");
            match &meta.progress {
                None => rewrite.edits.push((meta.span.clone(), Cow::Owned(format!("{{{members}}}")))),
                // Around the token, which is replaced when it is sent.
                Some(token) => {
                    let comma = if members.is_empty() { "" } else { "," };
                    let before = format!("{{\"{META_PROGRESS}\":");
                    rewrite.edits.push((meta.span.start..token.start, Cow::Owned(before)));
                    rewrite.edits.push((token.end..meta.span.end, Cow::Owned(format!("{comma}{members}}}"))));
                }
            }
        }
        rewrite
    }

    /// For a server of the stateless revisions, which wants the version in every request: adds what is missing.
    fn with_meta(&'a self, mut rewrite: Rewrite<'a>) -> Rewrite<'a> {
        let meta = self.params.as_ref().and_then(|p| p.meta.as_ref());
        if meta.is_some_and(|m| m.version.is_some() && m.capabilities.is_some()) {
            return rewrite;
        }
        let version = Version::V2026_07_28;
        let mut fields = String::new();
        if meta.is_none_or(|m| m.version.is_none()) {
            fields = format!("\"{META_VERSION}\":\"{version}\"");
        }
        let client = rewrite.client.as_ref();
        if meta.is_none_or(|m| m.capabilities.is_none()) {
            let comma = if fields.is_empty() { "" } else { "," };
            let capabilities = client.map_or("{}", |client| client.capabilities);
            fields = format!("{fields}{comma}\"{META_CAPABILITIES}\":{capabilities}");
        }
        if let Some(level) =
            client.and_then(|client| client.log_level).filter(|_| meta.is_none_or(|m| m.log_level.is_none()))
        {
            fields = format!("{fields},\"{META_LOG_LEVEL}\":{}", quoted(level));
        }
        let (at, text) = match (&self.params, meta) {
            (_, Some(meta)) => (meta.span.start + 1, format!("{fields}{}", if meta.empty { "" } else { "," })),
            (Some(params), None) => {
                (params.span.start + 1, format!("\"_meta\":{{{fields}}}{}", if params.empty { "" } else { "," }))
            }
            // Behind the brace that opens the message; a request has members, so a comma follows.
            (None, None) => (self.text.find('{').unwrap_or(0) + 1, format!("\"params\":{{\"_meta\":{{{fields}}}}},")),
        };
        rewrite.edits.push((at..at, Cow::Owned(text)));
        rewrite
    }
}

/// A request with what is to be replaced in it.
#[derive(Debug)]
pub struct Rewrite<'a> {
    text: &'a str,
    id: Option<Span>,
    /// A progress token. It becomes the id as well: clients choose theirs without knowing of one another.
    progress: Option<Span>,
    client: Option<ClientSaid<'a>>,
    edits: Vec<(Span, Cow<'a, str>)>,
}

/// What a client of sessions said once, and a stateless server wants to hear in every request.
#[derive(Clone, Copy, Debug)]
pub struct ClientSaid<'a> {
    /// JSON text of an object.
    pub capabilities: &'a str,
    pub log_level: Option<&'a str>,
}

impl<'a> Rewrite<'a> {
    pub fn of_client(self, client: ClientSaid<'a>) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Bytes that it will take, roughly.
    pub fn size(&self) -> usize {
        self.text.len() + self.edits.iter().map(|(_, with)| with.len()).sum::<usize>() + 32
    }

    /// Appends the message as one line. Line breaks, which can only stand between tokens, become spaces.
    pub(crate) fn write(&self, id: u64, out: &mut Vec<u8>) {
        let id = id.to_string();
        let mut edits: Vec<(Span, &str)> = self.edits.iter().map(|(span, with)| (span.clone(), &**with)).collect();
        for span in [&self.id, &self.progress].into_iter().flatten() {
            edits.push((span.clone(), &id));
        }
        edits.sort_by_key(|(span, _)| span.start);
        let start = out.len();
        splice(self.text.as_bytes(), edits.into_iter(), out);
        if memchr::memchr2(b'\n', b'\r', &out[start..]).is_some() {
            for byte in out[start..].iter_mut().filter(|b| matches!(b, b'\n' | b'\r')) {
                *byte = b' ';
            }
        }
        out.push(b'\n');
    }
}

/// A string's JSON text, which can always be made.
fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

pub(crate) fn splice<'s>(text: &[u8], edits: impl Iterator<Item = (Span, &'s str)>, out: &mut Vec<u8>) {
    let mut at = 0;
    for (span, with) in edits {
        out.extend_from_slice(&text[at..span.start]);
        out.extend_from_slice(with.as_bytes());
        at = span.end;
    }
    out.extend_from_slice(&text[at..]);
}
