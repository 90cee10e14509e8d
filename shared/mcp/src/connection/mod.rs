//! A server behind a pair of byte streams, shared by many callers at once.
//!
//! One task reads, one writes; callers put their line into the writer's buffer and wait for the reader to hand them
//! their answer. Ids are ours and never repeat, also not those of a connection before this one to the same server, so
//! an answer can only reach the call that it belongs to. A caller that goes away cancels its call.
//!
//! What a server says before it answers (`Said`) reaches the call whose progress token it names, or the only call that
//! is under way, or the newest of the only asker; when it could be meant for several, it reaches nobody, and a question is
//! refused.

mod answer;
mod call;
mod handshake;
mod inbound;
pub(crate) mod lines;
mod outbound;
mod pending;
mod said;
mod tools;
mod watching;

#[cfg(test)]
mod tests;

pub use answer::{Answer, InputRequired};
pub use call::{Call, Heard};
pub use handshake::Peer;
pub use pending::Asker;
pub use said::{Kind, Said};
pub use tools::RESERVED;
pub use watching::Watch;

use crate::{
    Error,
    json::Limits,
    message::{Message, Rewrite},
};
use bytes::Bytes;
use outbound::Outbox;
use pending::{Ear, Pending, Waiting};
use serde::Serialize;
use serde_json::value::RawValue;
use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicU8, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    sync::{Semaphore, broadcast, watch},
    time::timeout,
};

/// Bytes that a server may say about calls before their callers take them.
const UNHEARD: usize = 16 << 20;

/// Bounds of a connection. The defaults suit a server that nobody has reason to trust.
#[derive(Clone, Debug)]
pub struct Options {
    /// Longest line that the server may write, in bytes.
    pub max_line: usize,
    /// Calls that may be under way at once; further ones wait.
    pub in_flight: usize,
    /// Bytes of requests that may be under way at once; further ones wait. Also the longest request.
    pub in_flight_bytes: usize,
    /// How long the handshake may take. A package that starts for the first time can be slow.
    pub handshake: Duration,
    /// For requests without a time-out of their own.
    pub call: Duration,
    /// The server was running before: end a line that an earlier peer left unfinished, and accept that the server
    /// refuses a second handshake.
    pub resume: bool,
    /// What the earlier handshake gave, for a server that refuses a second one.
    pub known: Option<Peer>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            max_line: 16 << 20,
            in_flight: 1024,
            in_flight_bytes: 32 << 20,
            handshake: Duration::from_secs(60),
            call: Duration::from_secs(60),
            resume: false,
            known: None,
        }
    }
}

/// What a server says without being asked.
#[derive(Clone, Debug)]
pub enum Event {
    /// `notifications/<kind>/list_changed`: `tools`, `resources` or `prompts`.
    ListChanged(&'static str),
    /// Any other notification, as it came.
    Notification(Bytes),
}

/// What went by since the connection was opened.
#[derive(Debug, Default)]
pub struct Counters {
    pub answers: AtomicU64,
    /// Answers to no call that waits: late, repeated or invented. Dropped.
    pub unknown: AtomicU64,
    /// Lines that are no message. Dropped.
    pub garbage: AtomicU64,
}

/// A server, spoken to over standard streams. Cheap to clone; the streams end with the last clone.
#[derive(Clone)]
pub struct Connection(Arc<Handle>);

/// What the tasks share. They hold it weakly where they would otherwise keep each other alive.
pub(crate) struct Shared {
    outbox: Outbox,
    pending: Pending,
    watches: watching::Watches,
    /// Bytes of what the server said about calls and their callers have not taken yet.
    unheard: Arc<Semaphore>,
    next: AtomicU64,
    /// The least level that the server was asked to log; more than any before it was.
    level: AtomicU8,
    counters: Counters,
    events: broadcast::Sender<Event>,
    closed: watch::Sender<bool>,
}

struct Handle {
    shared: Arc<Shared>,
    calls: Arc<Semaphore>,
    bytes: Arc<Semaphore>,
    options: Options,
    peer: OnceLock<Peer>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.shared.close();
    }
}

impl Connection {
    /// Opens a connection and agrees on a revision with the server, whichever it speaks.
    pub async fn open(
        reader: impl AsyncRead + Send + Unpin + 'static,
        writer: impl AsyncWrite + Send + Unpin + 'static,
        options: Options,
    ) -> Result<Self, Error> {
        let shared = Arc::new(Shared {
            outbox: Outbox::default(),
            pending: Pending::default(),
            watches: watching::Watches::default(),
            unheard: Arc::new(Semaphore::new(UNHEARD)),
            next: AtomicU64::new(pending::first_id()),
            level: AtomicU8::new(u8::MAX),
            counters: Counters::default(),
            events: broadcast::channel(64).0,
            closed: watch::channel(false).0,
        });
        tokio::spawn(outbound::run(shared.clone(), writer));
        tokio::spawn(inbound::run(shared.clone(), reader, options.max_line));
        let connection = Self(Arc::new(Handle {
            shared,
            calls: Arc::new(Semaphore::new(options.in_flight)),
            bytes: Arc::new(Semaphore::new(options.in_flight_bytes)),
            options,
            peer: OnceLock::new(),
        }));
        let peer = handshake::agree(&connection).await?;
        connection.0.peer.get_or_init(|| peer);
        connection.listen_for_lists();
        Ok(connection)
    }

    /// Who the server says it is, and what was agreed.
    pub fn peer(&self) -> &Peer {
        static NOBODY: OnceLock<Peer> = OnceLock::new();
        // Only during the handshake is it not known yet.
        self.0.peer.get().unwrap_or_else(|| NOBODY.get_or_init(Peer::default))
    }

    pub fn counters(&self) -> &Counters {
        &self.0.shared.counters
    }

    /// Calls under way.
    pub fn in_flight(&self) -> usize {
        self.0.shared.pending.len()
    }

    /// What the server says without being asked, from now on. A receiver that is slow loses the oldest.
    pub fn events(&self) -> broadcast::Receiver<Event> {
        self.0.shared.events.subscribe()
    }

    /// Resolves when the server is gone or the connection was closed.
    pub async fn closed(&self) {
        let mut closed = self.0.shared.closed.subscribe();
        // An error means that the sender is gone, and with it the connection.
        let _ = closed.wait_for(|closed| *closed).await;
    }

    /// Whether both are the same connection.
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub fn is_closed(&self) -> bool {
        *self.0.shared.closed.borrow()
    }

    /// Ends the connection now. Callers that wait get `Error::Closed`.
    pub fn close(&self) {
        self.0.shared.close();
    }

    /// Sends a request on under an id of ours and waits for its answer. Dropping the future cancels the call, and the
    /// server is told.
    pub async fn forward<'m>(
        &self,
        message: &'m Message<'m>,
        rewrite: Rewrite<'m>,
        limit: Duration,
    ) -> Result<Answer, Error> {
        let rewrite = message.bridged(rewrite, self.peer().version.is_stateless());
        self.send(Ear::Deaf, rewrite.size(), limit, |id, out| rewrite.write(id, out)).await
    }

    /// Asks for something; the result as JSON text.
    pub async fn request(&self, method: &str, params: &impl Serialize) -> Result<Box<RawValue>, Error> {
        self.request_within(method, params, self.0.options.call).await
    }

    /// The same with a time-out.
    pub async fn request_within(
        &self,
        method: &str,
        params: &impl Serialize,
        limit: Duration,
    ) -> Result<Box<RawValue>, Error> {
        let text = request_text(method, params)?;
        let message = Message::parse(text.as_bytes(), Limits::REQUEST).map_err(Error::BadAnswer)?;
        // What we say ourselves is as the server wants it, but for what a stateless one wants everywhere.
        let rewrite = message.rewrite();
        let stateless = self.peer().version.is_stateless();
        let rewrite = if stateless { message.bridged(rewrite, true) } else { rewrite };
        let answer = self.send(Ear::Own, rewrite.size(), limit, |id, out| rewrite.write(id, out)).await?;
        match (answer.result(), answer.error()) {
            (Some(result), None) => Ok(serde_json::from_str(result)?),
            (_, error) => Err(rpc(error.unwrap_or("null"))),
        }
    }

    /// Tells the server something, without waiting.
    pub fn notify(&self, method: &str, params: Option<&RawValue>) {
        let method = serde_json::Value::from(method);
        let params = params.map(|p| format!(",\"params\":{}", p.get())).unwrap_or_default();
        self.0.shared.outbox.push(format!("{{\"jsonrpc\":\"2.0\",\"method\":{method}{params}}}\n").as_bytes());
    }

    async fn send(
        &self,
        ear: Ear,
        size: usize,
        limit: Duration,
        write: impl FnOnce(u64, &mut Vec<u8>),
    ) -> Result<Answer, Error> {
        let handle = &*self.0;
        let most = handle.options.in_flight_bytes;
        if size > most {
            return Err(Error::TooLarge { size, limit: most });
        }
        let answer = timeout(limit, async {
            // Back-pressure: without room the caller waits here, holding its own request and nothing else.
            let _call = handle.calls.acquire().await.map_err(|_| Error::Closed)?;
            let _bytes = handle.bytes.acquire_many(size as u32).await.map_err(|_| Error::Closed)?;
            let id = handle.shared.next.fetch_add(1, Relaxed);
            let mut waiting = Waiting::new(&handle.shared, id, ear)?;
            handle.shared.outbox.write(|out| write(id, out));
            waiting.answer().await
        });
        answer.await.map_err(|_| Error::TimedOut(limit))?
    }
}

impl Shared {
    fn close(&self) {
        self.closed.send_replace(true);
        self.pending.clear();
        self.outbox.wake();
    }

    fn is_closed(&self) -> bool {
        *self.closed.borrow()
    }
}

fn request_text(method: &str, params: &impl Serialize) -> Result<String, Error> {
    #[derive(Serialize)]
    struct Request<'a, P> {
        jsonrpc: &'a str,
        // Replaced by one of ours when it is sent.
        id: u8,
        method: &'a str,
        params: &'a P,
    }
    Ok(serde_json::to_string(&Request { jsonrpc: "2.0", id: 0, method, params })?)
}

pub(crate) fn rpc(error: &str) -> Error {
    #[derive(serde::Deserialize)]
    struct Body {
        code: i64,
        message: String,
    }
    match serde_json::from_str::<Body>(error) {
        Ok(Body { code, message }) => Error::Rpc { code, message },
        Err(e) => Error::Shape(e),
    }
}
