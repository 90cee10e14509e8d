//! One JSON-RPC message, read where it lies: spans into its text instead of a tree, and rewriting by splicing, so
//! that every byte that we do not mean to change goes on as it came.

use crate::{
    Version,
    json::{Limits, Refused, Scanner},
};
use std::{borrow::Cow, ops::Range};

type Span = Range<usize>;

/// Longest id that a client may choose.
const ID: usize = 256;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";

/// A message of either direction. Which members are present says which kind it is.
#[derive(Debug)]
pub struct Message<'a> {
    text: &'a str,
    id: Option<Span>,
    pub method: Option<Cow<'a, str>>,
    pub params: Option<Params<'a>>,
    result: Option<ResultSpan>,
    error: Option<Span>,
}

/// What a gateway looks at in `params`.
#[derive(Debug, Default)]
pub struct Params<'a> {
    span: Span,
    empty: bool,
    name_span: Option<Span>,
    /// `params.name`: the tool or the prompt.
    pub name: Option<Cow<'a, str>>,
    /// `params.uri`: the resource.
    pub uri: Option<Cow<'a, str>>,
    /// `params.protocolVersion`, of `initialize`.
    pub protocol_version: Option<Cow<'a, str>>,
    arguments: Option<Span>,
    request_id: Option<Span>,
    meta: Option<Meta<'a>>,
}

#[derive(Debug, Default)]
struct Meta<'a> {
    span: Span,
    empty: bool,
    version: Option<Cow<'a, str>>,
    capabilities: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct ResultSpan {
    pub(crate) span: Span,
    pub(crate) empty: bool,
    /// It has a `resultType`.
    pub(crate) typed: bool,
}

#[derive(Clone, Debug)]
pub(crate) struct AnswerSpans {
    pub(crate) id: Span,
    pub(crate) result: Option<ResultSpan>,
    pub(crate) error: Option<Span>,
}

/// A request's id as the client wrote it, to be written back the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Id<'a>(&'a str);

impl<'a> Id<'a> {
    /// The id's JSON text.
    pub fn as_json(self) -> &'a str {
        self.0
    }
}

impl<'a> Message<'a> {
    /// Reads one message. Whatever is ambiguous or out of bounds is refused here, before anything is decided on it.
    pub fn parse(bytes: &'a [u8], limits: Limits) -> Result<Self, Refused> {
        let mut scanner = Scanner::new(bytes, limits)?;
        match scanner.peek() {
            b'{' => {}
            b'[' => return Err(Refused::Batch),
            _ => return Err(Refused::Envelope("not an object")),
        }
        let (mut version, mut null) = (false, false);
        let mut message =
            Self { text: scanner.text(), id: None, method: None, params: None, result: None, error: None };
        scanner.object(&mut |scanner, key| {
            match &*key {
                "jsonrpc" => version = scanner.value().map(|span| &scanner.text()[span] == "\"2.0\"")?,
                "id" => {
                    message.id = id(scanner)?;
                    null = message.id.is_none();
                }
                "method" => message.method = Some(text(scanner, "method is not a string")?),
                "params" => message.params = Some(params(scanner)?),
                "result" => message.result = Some(result(scanner)?),
                "error" => message.error = Some(scanner.value()?),
                _ => drop(scanner.value()?),
            }
            Ok(())
        })?;
        scanner.end()?;
        if !version {
            return Err(Refused::Envelope("jsonrpc is not \"2.0\""));
        }
        match (&message.method, message.is_answer()) {
            (Some(_), false) if null => Err(Refused::Envelope("a request's id is null")),
            (Some(_), false) | (None, true) => Ok(message),
            (Some(_), true) => Err(Refused::Envelope("both a request and an answer")),
            (None, false) => Err(Refused::Envelope("neither a request nor an answer")),
        }
    }

    pub fn id(&self) -> Option<Id<'a>> {
        self.id.clone().map(|span| Id(&self.text[span]))
    }

    pub fn is_answer(&self) -> bool {
        self.result.is_some() || self.error.is_some()
    }

    /// The JSON text of `result`.
    pub fn result(&self) -> Option<&'a str> {
        self.result.as_ref().map(|r| &self.text[r.span.clone()])
    }

    /// The JSON text of `error`.
    pub fn error(&self) -> Option<&'a str> {
        self.error.clone().map(|span| &self.text[span])
    }

    /// The JSON text of `params`.
    pub fn params(&self) -> Option<&'a str> {
        self.params.as_ref().map(|p| &self.text[p.span.clone()])
    }

    /// The JSON text of `params.arguments`.
    pub fn arguments(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.arguments.clone()?;
        Some(&self.text[span])
    }

    /// The JSON text of `params.requestId`, of a cancellation.
    pub fn request_id(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.request_id.clone()?;
        Some(&self.text[span])
    }

    /// Where `params.name` stands, quotes included.
    pub fn name_span(&self) -> Option<Span> {
        self.params.as_ref()?.name_span.clone()
    }

    /// The JSON text of `params._meta`.
    pub fn meta(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.meta.as_ref()?.span.clone();
        Some(&self.text[span])
    }

    /// `params.name`, or `params.uri`: what the header `Mcp-Name` repeats.
    pub fn target(&self) -> Option<&str> {
        let params = self.params.as_ref()?;
        params.name.as_deref().or(params.uri.as_deref())
    }

    /// The version that `_meta` names: the mark of a request of the stateless revisions.
    pub fn meta_version(&self) -> Option<&str> {
        self.params.as_ref()?.meta.as_ref()?.version.as_deref()
    }

    pub fn has_client_capabilities(&self) -> bool {
        self.params.as_ref().and_then(|p| p.meta.as_ref()).is_some_and(|m| m.capabilities)
    }

    /// Ready to be sent on under an id of ours.
    pub fn rewrite(&'a self) -> Rewrite<'a> {
        Rewrite { text: self.text, id: self.id.clone(), edits: Vec::new() }
    }

    /// The same, with another tool name.
    pub fn rewrite_named(&'a self, name: &str) -> Rewrite<'a> {
        let mut rewrite = self.rewrite();
        if let Some(span) = self.params.as_ref().and_then(|p| p.name_span.clone()) {
            // A string's JSON text can always be made.
            let quoted = serde_json::to_string(name).unwrap_or_default();
            rewrite.edits.push((span, Cow::Owned(quoted)));
        }
        rewrite
    }

    /// For a server of the stateless revisions, which wants the version in every request: adds what is missing.
    pub fn with_meta(&'a self, mut rewrite: Rewrite<'a>) -> Rewrite<'a> {
        let meta = self.params.as_ref().and_then(|p| p.meta.as_ref());
        if meta.is_some_and(|m| m.version.is_some() && m.capabilities) {
            return rewrite;
        }
        let version = Version::V2026_07_28;
        let mut fields = String::new();
        if meta.is_none_or(|m| m.version.is_none()) {
            fields = format!("\"{META_VERSION}\":\"{version}\"");
        }
        if meta.is_none_or(|m| !m.capabilities) {
            let comma = if fields.is_empty() { "" } else { "," };
            fields = format!("{fields}{comma}\"{META_CAPABILITIES}\":{{}}");
        }
        let (at, text) = match (&self.params, meta) {
            (_, Some(meta)) => (meta.span.start + 1, format!("{fields}{}", if meta.empty { "" } else { "," })),
            (Some(params), None) => {
                (params.span.start + 1, format!("\"_meta\":{{{fields}}}{}", if params.empty { "" } else { "," }))
            }
            // Behind the brace that opens the message; a request has members, so a comma follows.
            (None, None) => {
                (self.text.find('{').unwrap_or(0) + 1, format!("\"params\":{{\"_meta\":{{{fields}}}}},"))
            }
        };
        rewrite.edits.push((at..at, Cow::Owned(text)));
        rewrite
    }

    /// Where an answer's parts stand; none when it has no id, or is no answer.
    pub(crate) fn answer_spans(&self) -> Option<AnswerSpans> {
        if !self.is_answer() {
            return None;
        }
        Some(AnswerSpans { id: self.id.clone()?, result: self.result.clone(), error: self.error.clone() })
    }
}

/// A request with what is to be replaced in it.
#[derive(Debug)]
pub struct Rewrite<'a> {
    text: &'a str,
    id: Option<Span>,
    edits: Vec<(Span, Cow<'a, str>)>,
}

impl Rewrite<'_> {
    /// Bytes that it will take, roughly.
    pub fn size(&self) -> usize {
        self.text.len() + self.edits.iter().map(|(_, with)| with.len()).sum::<usize>() + 32
    }

    /// Appends the message as one line. Line breaks, which can only stand between tokens, become spaces.
    pub(crate) fn write(&self, id: u64, out: &mut Vec<u8>) {
        let id = id.to_string();
        let mut edits: Vec<(Span, &str)> = self.edits.iter().map(|(span, with)| (span.clone(), &**with)).collect();
        if let Some(span) = self.id.clone() {
            edits.push((span, &id));
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

/// `name` and the JSON text of `arguments` of an object that wraps a call.
pub fn named_arguments(text: &str) -> Result<(Option<Cow<'_, str>>, Option<&str>), Refused> {
    let mut scanner = Scanner::new(text.as_bytes(), Limits::REQUEST)?;
    let (mut name, mut arguments) = (None, None);
    scanner.object(&mut |scanner, key| {
        match &*key {
            "name" => name = Some(self::text(scanner, "name is not a string")?),
            "arguments" if scanner.peek() == b'{' => arguments = Some(scanner.value()?),
            _ => return Err(Refused::Envelope("only a name and an object of arguments are taken")),
        }
        Ok(())
    })?;
    scanner.end()?;
    Ok((name, arguments.map(|span| &text[span])))
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

fn text<'a>(scanner: &mut Scanner<'a>, otherwise: &'static str) -> Result<Cow<'a, str>, Refused> {
    if scanner.peek() != b'"' {
        return Err(Refused::Envelope(otherwise));
    }
    let span = scanner.string()?;
    scanner.unquote(&span)
}

fn id(scanner: &mut Scanner<'_>) -> Result<Option<Span>, Refused> {
    let first = scanner.peek();
    let span = scanner.value()?;
    let text = &scanner.text()[span.clone()];
    match first {
        b'n' => Ok(None),
        b'"' if text.len() <= ID => Ok(Some(span)),
        b'-' | b'0'..=b'9' if text.len() <= 20 && !text.contains(['.', 'e', 'E']) => Ok(Some(span)),
        _ => Err(Refused::Envelope("id is neither a short string nor an integer")),
    }
}

fn params<'a>(scanner: &mut Scanner<'a>) -> Result<Params<'a>, Refused> {
    if scanner.peek() != b'{' {
        return Err(Refused::Envelope("params is not an object"));
    }
    let mut params = Params { empty: true, ..Params::default() };
    let span = scanner.object(&mut |scanner, key| {
        params.empty = false;
        match &*key {
            "name" if scanner.peek() == b'"' => {
                let span = scanner.string()?;
                params.name = Some(scanner.unquote(&span)?);
                params.name_span = Some(span);
            }
            "uri" if scanner.peek() == b'"' => params.uri = Some(text(scanner, "uri is not a string")?),
            "protocolVersion" if scanner.peek() == b'"' => {
                params.protocol_version = Some(text(scanner, "protocolVersion is not a string")?);
            }
            "arguments" => params.arguments = Some(scanner.value()?),
            "requestId" => params.request_id = Some(scanner.value()?),
            "_meta" if scanner.peek() == b'{' => params.meta = Some(meta(scanner)?),
            _ => drop(scanner.value()?),
        }
        Ok(())
    })?;
    params.span = span;
    Ok(params)
}

fn meta<'a>(scanner: &mut Scanner<'a>) -> Result<Meta<'a>, Refused> {
    let mut meta = Meta { empty: true, ..Meta::default() };
    let span = scanner.object(&mut |scanner, key| {
        meta.empty = false;
        match &*key {
            META_VERSION => meta.version = Some(text(scanner, "the protocol version is not a string")?),
            META_CAPABILITIES => {
                meta.capabilities = scanner.peek() == b'{';
                scanner.value()?;
            }
            _ => drop(scanner.value()?),
        }
        Ok(())
    })?;
    meta.span = span;
    Ok(meta)
}

fn result(scanner: &mut Scanner<'_>) -> Result<ResultSpan, Refused> {
    if scanner.peek() != b'{' {
        // JSON-RPC allows any value; there is nothing to look at in it.
        return Ok(ResultSpan { span: scanner.value()?, empty: false, typed: true });
    }
    let (mut empty, mut typed) = (true, false);
    let span = scanner.object(&mut |scanner, key| {
        empty = false;
        typed |= key == "resultType";
        scanner.value().map(drop)
    })?;
    Ok(ResultSpan { span, empty, typed })
}
