//! The MCP endpoint: authenticate, authorise, route, record.
//!
//! A request passes, in this order: the place it comes from (`door`), its capability (`door`, by `capability`), the
//! size of its body (`body`), the strict reader (`mcp::Message`), the agreement of headers and body (`era`), its session
//! if it has one (`sessions`), and what the capability allows (`call`, `listing`). Only then does a server see it. What
//! the server answers is scrubbed (`scrub`), recorded (`record`) and passed on byte for byte, but for the id. What it says
//! before that, or asks, goes the longer way of `exchange`, for clients that can hear it (`ear`).
//!
//! No lock is held across an `await`, nothing is asked of anybody else, and no tree is built of arguments unless a grant
//! looks at them. The tasks are those of the connections to the servers (`mcp::Connection`) and one for each client's
//! connection (`serve`).

mod ability;
mod body;
mod call;
mod control;
mod denial;
mod dispatch;
mod door;
mod ear;
mod endpoint;
mod entry;
mod era;
mod exchange;
mod flags;
mod front;
mod listing;
mod metrics;
mod news;
mod own;
mod params;
mod parked;
mod questions;
mod record;
mod registry;
mod rounds;
mod seal;
mod send;
mod serve;
mod sessions;
mod stream;
mod unread;
mod wishes;

#[cfg(test)]
mod tests;

pub use control::{Control, Lines};
pub use door::Peer;
pub use endpoint::Endpoint;
pub use flags::Flags;
pub use front::{Front, FrontError};
pub use own::{RequestLog, Requests, ToolRequest};
pub use record::{Access, Outcome, Records, TraceId};
pub use registry::{Offer, Redefined, Registry, Server, ServerEntry};
pub use serve::serve;

use axum::http::HeaderMap;
use capability::{Checked, Verifier};
use std::{
    ops::Deref,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::sync::{Semaphore, watch};

/// Streams of events that may be open at once.
const STREAMS: usize = 512;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Largest body, in bytes.
    pub max_body: usize,
    /// Bytes of bodies that may be held at once; further requests wait.
    pub max_held: usize,
    /// Bytes of answers that their clients have not taken yet, a quarter of them of one agent; further ones are withheld.
    pub max_unread: usize,
    /// How long a body may take to arrive.
    pub body_timeout: Duration,
    /// How long a client may take nothing of what it is sent.
    pub stuck: Duration,
    /// How long a call may take.
    pub call_timeout: Duration,
    /// Names and addresses, without ports, by which this gateway is called, besides those of the loopback.
    pub hosts: Vec<String>,
    /// Records hold what the arguments were, not only their digest.
    pub record_arguments: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_body: 4 << 20,
            max_held: 64 << 20,
            max_unread: 128 << 20,
            body_timeout: Duration::from_secs(30),
            stuck: Duration::from_secs(75),
            call_timeout: Duration::from_secs(300),
            hosts: Vec::new(),
            record_arguments: false,
        }
    }
}

/// What the gateway is made of. Everything is shared with the rest of the daemon.
pub struct Parts {
    pub registry: Registry,
    pub verifier: Verifier,
    pub requests: Arc<dyn Requests>,
    pub control: Arc<dyn Control>,
    pub records: Records,
    /// Marked as changed whenever the verifier heard of revocations or keys: calls under way are then looked at again.
    pub heard: watch::Receiver<()>,
    pub settings: Settings,
}

#[derive(Clone)]
pub(crate) struct Gateway(Arc<Inner>);

pub(crate) struct Inner {
    registry: Registry,
    verifier: Verifier,
    requests: Arc<dyn Requests>,
    control: Arc<dyn Control>,
    records: Records,
    heard: watch::Receiver<()>,
    settings: Settings,
    metrics: metrics::Metrics,
    sessions: sessions::Sessions,
    parked: parked::Parked,
    seal: seal::Seal,
    room: Semaphore,
    waiting: unread::Waiting,
    streams: Arc<Semaphore>,
}

impl Deref for Gateway {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

/// One request's caller, authenticated.
struct Caller<'g> {
    gateway: &'g Gateway,
    headers: &'g HeaderMap,
    checked: Arc<Checked>,
    /// The one server that the address names; none at `/mcp`.
    server: Option<Arc<Server>>,
    /// Speaks 2026-07-28.
    stateless: bool,
    session: Option<Arc<sessions::Session>>,
    /// When the request came, seconds since the epoch.
    now: i64,
}

impl Gateway {
    fn new(parts: Parts) -> Self {
        let Parts { registry, verifier, requests, control, records, heard, settings } = parts;
        Self(Arc::new(Inner {
            room: Semaphore::new(settings.max_held.max(settings.max_body)),
            waiting: unread::Waiting::default(),
            registry,
            verifier,
            requests,
            control,
            records,
            heard,
            settings,
            metrics: metrics::Metrics::default(),
            sessions: sessions::Sessions::default(),
            parked: parked::Parked::default(),
            seal: seal::Seal::default(),
            streams: Arc::new(Semaphore::new(STREAMS)),
        }))
    }
}

/// Seconds since the epoch.
fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
