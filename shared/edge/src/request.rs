//! The id of a request and where it stands in a trace (W3C Trace Context), known to whatever runs for it.

use http::HeaderMap;
use protocol::ids::RequestId;
use std::fmt;
use tracing::Instrument;

tokio::task_local! {
    static CURRENT: Request;
}

/// One request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Ours, always new: a caller cannot choose what the log says.
    pub id: RequestId,
    pub trace: Trace,
}

/// A span of a trace, as `traceparent` carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    pub trace_id: u128,
    pub span_id: u64,
    pub sampled: bool,
}

impl fmt::Display for Trace {
    /// The `traceparent` header's value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "00-{:032x}-{:016x}-{:02x}", self.trace_id, self.span_id, u8::from(self.sampled))
    }
}

impl Trace {
    /// Trace Context level 1, section 3.2.2: lower-case hex, no zero ids; later versions may have more fields.
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('-');
        let (version, trace, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        if version == "ff" || version == "00" && parts.next().is_some() {
            return None;
        }
        let hex = |text: &str, length: usize| {
            (text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
                .then(|| u128::from_str_radix(text, 16).ok())
                .flatten()
        };
        hex(version, 2)?;
        let trace_id = hex(trace, 32).filter(|id| *id != 0)?;
        let span_id = hex(span, 16).filter(|id| *id != 0)?;
        let sampled = hex(flags, 2)? & 1 == 1;
        Some(Self { trace_id, span_id: span_id as u64, sampled })
    }

    fn new() -> Self {
        Self { trace_id: rand::random::<u128>().max(1), span_id: rand::random::<u64>().max(1), sampled: false }
    }
}

impl Request {
    /// A request of its own, within the caller's trace when the caller names one.
    pub fn from_headers(headers: &HeaderMap) -> Self {
        let parent = headers.get("traceparent").and_then(|value| Trace::parse(value.to_str().ok()?));
        let trace = match parent {
            Some(parent) => Trace { span_id: Trace::new().span_id, ..parent },
            None => Trace::new(),
        };
        Self { id: RequestId::new(), trace }
    }

    /// Runs `future` as part of this request.
    pub async fn scope<F: Future>(self, future: F) -> F::Output {
        CURRENT.scope(self, future).await
    }
}

/// Makes `future` part of the present request, for a task of its own that goes on after the answer.
pub fn carry<F: Future>(future: F) -> impl Future<Output = F::Output> {
    let (request, span) = (current(), tracing::Span::current());
    async move {
        match request {
            Some(request) => request.scope(future).await,
            None => future.await,
        }
    }
    .instrument(span)
}

/// The request that this code runs for, if any. A spawned task belongs to none.
pub fn current() -> Option<Request> {
    CURRENT.try_with(|request| *request).ok()
}
