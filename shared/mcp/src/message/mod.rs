//! One JSON-RPC message, read where it lies: spans into its text instead of a tree, and rewriting by splicing, so
//! that every byte that we do not mean to change goes on as it came.

mod read;
mod rewrite;
#[cfg(test)]
mod tests;

pub use read::named_arguments;
pub(crate) use rewrite::splice;
pub use rewrite::{ClientSaid, Rewrite};

use std::{borrow::Cow, ops::Range};

pub(crate) type Span = Range<usize>;

/// Longest id that a client may choose.
const ID: usize = 256;

const META_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
const META_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const META_CLIENT: &str = "io.modelcontextprotocol/clientInfo";
const META_LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
const META_PROGRESS: &str = "progressToken";
const META_TRACE: &str = "traceparent";

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
    /// `params.progressToken`, of a notification.
    progress: Option<Span>,
    /// `params.inputResponses`, of a request that is made again with what was asked for.
    inputs: Option<Span>,
    /// `params.requestState`, of the same.
    state: Option<(Span, Cow<'a, str>)>,
    meta: Option<Meta<'a>>,
}

#[derive(Debug, Default)]
struct Meta<'a> {
    span: Span,
    empty: bool,
    version: Option<Cow<'a, str>>,
    capabilities: Option<Span>,
    log_level: Option<Cow<'a, str>>,
    /// Where the value of `progressToken` stands; it is one of `others`, too.
    progress: Option<Span>,
    trace: Option<Span>,
    /// Whatever is not of the stateless revisions' envelope: names, and where their values stand.
    others: Vec<(Cow<'a, str>, Span)>,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct ResultSpan {
    pub(crate) span: Span,
    pub(crate) empty: bool,
    /// It has a `resultType`.
    pub(crate) typed: bool,
    /// That type is `input_required`.
    pub(crate) input_required: bool,
    /// It has a `ttlMs`.
    pub(crate) cached: bool,
    pub(crate) requests: Option<Span>,
    pub(crate) state: Option<Span>,
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
    pub fn id(&self) -> Option<Id<'a>> {
        self.id.clone().map(|span| Id(&self.text[span]))
    }

    /// The whole message's text.
    pub fn text(&self) -> &'a str {
        self.text
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

    /// The JSON text of `params.progressToken`, of a notification.
    pub fn progress(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.progress.clone()?;
        Some(&self.text[span])
    }

    /// The JSON text of `params._meta.progressToken`, of a request.
    pub fn progress_token(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.meta.as_ref()?.progress.clone()?;
        Some(&self.text[span])
    }

    /// The JSON text of `params._meta.traceparent` (W3C trace context).
    pub fn trace(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.meta.as_ref()?.trace.clone()?;
        Some(&self.text[span])
    }

    /// The JSON text of `params.inputResponses`.
    pub fn inputs(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.inputs.clone()?;
        Some(&self.text[span])
    }

    /// `params.requestState`.
    pub fn state(&self) -> Option<&str> {
        Some(&*self.params.as_ref()?.state.as_ref()?.1)
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

    /// What the request is about, as the header `Mcp-Name` repeats it: a resource's `params.uri`, else `params.name`.
    pub fn target(&self) -> Option<&str> {
        let params = self.params.as_ref()?;
        let resource = self.method.as_deref().is_some_and(|method| method.contains("resources/"));
        if resource { params.uri.as_deref() } else { params.name.as_deref() }
    }

    /// The version that `_meta` names: the mark of a request of the stateless revisions.
    pub fn meta_version(&self) -> Option<&str> {
        self.params.as_ref()?.meta.as_ref()?.version.as_deref()
    }

    /// The JSON text of what `_meta` says of the client's capabilities.
    pub fn client_capabilities(&self) -> Option<&'a str> {
        let span = self.params.as_ref()?.meta.as_ref()?.capabilities.clone()?;
        Some(&self.text[span])
    }

    /// The least level of logging that `_meta` asks for.
    pub fn log_level(&self) -> Option<&str> {
        self.params.as_ref()?.meta.as_ref()?.log_level.as_deref()
    }

    /// Where `id`, `params` and `params.progressToken` stand.
    pub(crate) fn spans(&self) -> (Option<Span>, Option<Span>, Option<Span>) {
        let params = self.params.as_ref();
        (self.id.clone(), params.map(|p| p.span.clone()), params.and_then(|p| p.progress.clone()))
    }

    /// Where an answer's parts stand; none when it has no id, or is no answer.
    pub(crate) fn answer_spans(&self) -> Option<AnswerSpans> {
        if !self.is_answer() {
            return None;
        }
        Some(AnswerSpans { id: self.id.clone()?, result: self.result.clone(), error: self.error.clone() })
    }
}
