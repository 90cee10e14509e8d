//! The servers that can be called now. Readers take a snapshot and hold no lock while they work with it.

use crate::scrub::Scrubber;
use mcp::{
    Connection,
    json::Limits,
    message::Message,
    mirrored::{self, Mirrored},
};
use protocol::{chat::Secret, ids::ServerId, server::Tool};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError, RwLock,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::watch;

/// What the daemon hands over when a server's tools are listed.
pub struct ServerEntry {
    pub id: ServerId,
    pub connection: Connection,
    pub tools: Vec<Tool>,
    /// Values that must never leave in a result or a log line.
    pub secrets: Arc<Vec<Secret>>,
}

/// A server as the gateway sees it. Never changed: a change makes a new one.
pub struct Server {
    pub id: ServerId,
    pub name: Arc<str>,
    pub connection: Connection,
    /// It says that it logs.
    pub(super) logs: bool,
    /// By name, so that every list has one order.
    tools: BTreeMap<Arc<str>, Offer>,
    secrets: Arc<Vec<Secret>>,
}

/// A tool as it is offered.
pub struct Offer {
    pub digest: String,
    /// The definition's JSON text.
    definition: String,
    /// Where its name stands in it.
    name: Range<usize>,
    /// Lower-case name, title and description, for `find_tool`.
    pub(super) words: String,
    /// Arguments that stateless callers repeat in headers.
    pub(super) marked: Vec<Mirrored>,
}

#[derive(Default)]
pub(super) struct Snapshot {
    pub(super) servers: BTreeMap<Arc<str>, Arc<Server>>,
    pub(super) scrubber: Scrubber,
}

/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Registry(Arc<Inner>);

struct Inner {
    snapshot: RwLock<Arc<Snapshot>>,
    /// Counts changes of what is offered.
    changed: watch::Sender<u64>,
    /// Counts tools that came to say something else than before.
    redefined: AtomicU64,
    /// Those of them that were not told yet.
    untold: Mutex<Vec<Redefined>>,
}

/// A tool came to say something else than before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Redefined {
    pub server: ServerId,
    pub tool: String,
    pub before: String,
    pub now: String,
}

/// Changed tools that are kept until they are told.
const UNTOLD: usize = 1000;

impl Default for Registry {
    fn default() -> Self {
        let (snapshot, changed) = (RwLock::default(), watch::channel(0).0);
        let (redefined, untold) = (AtomicU64::new(0), Mutex::default());
        Self(Arc::new(Inner { snapshot, changed, redefined, untold }))
    }
}

impl Registry {
    /// Offers a server under a name, instead of the one that had it. Calls that are under way go on.
    pub fn insert(&self, name: &str, entry: ServerEntry) {
        let name: Arc<str> = name.into();
        let server = Server {
            id: entry.id,
            name: name.clone(),
            logs: entry.connection.peer().capabilities.get("logging").is_some(),
            connection: entry.connection,
            tools: entry.tools.into_iter().filter_map(offer).collect(),
            secrets: entry.secrets,
        };
        if let Some(before) = self.get(&name) {
            for redefined in changed(&before, &server) {
                self.0.redefined.fetch_add(1, Relaxed);
                tracing::warn!(
                    server = &*name,
                    tool = redefined.tool,
                    "its definition has changed: grants of the former are no good"
                );
                let mut untold = self.0.untold.lock().unwrap_or_else(PoisonError::into_inner);
                if untold.len() < UNTOLD {
                    untold.push(redefined);
                }
            }
        }
        self.change(|servers| drop(servers.insert(name, Arc::new(server))));
    }

    pub(super) fn redefined(&self) -> u64 {
        self.0.redefined.load(Relaxed)
    }

    /// Tools that changed since this was last asked; the oldest thousand.
    pub fn take_redefined(&self) -> Vec<Redefined> {
        std::mem::take(&mut *self.0.untold.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn remove(&self, name: &str) -> Option<Arc<Server>> {
        let mut removed = None;
        self.change(|servers| removed = servers.remove(name));
        removed
    }

    /// Removes the server, unless its name has gone to another connection meanwhile.
    pub fn withdraw(&self, name: &str, connection: &Connection) {
        self.change(|servers| {
            if servers.get(name).is_some_and(|server| server.connection.is(connection)) {
                servers.remove(name);
            }
        });
    }

    pub fn get(&self, name: &str) -> Option<Arc<Server>> {
        self.snapshot().servers.get(name).cloned()
    }

    pub fn names(&self) -> Vec<Arc<str>> {
        self.snapshot().servers.keys().cloned().collect()
    }

    /// Asks a server for its tools again and offers what it says now; what changed is called no longer, because its
    /// digest is another. What it says, when something changed.
    pub async fn refresh(&self, name: &str) -> Result<Option<Vec<Tool>>, mcp::Error> {
        let Some(server) = self.get(name) else { return Ok(None) };
        let tools = server.connection.tools().await?;
        let same = tools.len() == server.tools.len()
            && tools.iter().all(|tool| server.tools.get(&*tool.name).is_some_and(|known| known.digest == tool.digest));
        if same || !self.get(name).is_some_and(|now| Arc::ptr_eq(&now, &server)) {
            return Ok(None);
        }
        let (id, connection, secrets) = (server.id, server.connection.clone(), server.secrets.clone());
        self.insert(name, ServerEntry { id, connection, tools: tools.clone(), secrets });
        Ok(Some(tools))
    }

    /// Removes the values of every known secret from a line, e.g. of a log.
    pub fn scrub(&self, line: &str) -> String {
        self.snapshot().scrubber.line(line)
    }

    /// The number of the last change of what is offered.
    pub(super) fn change_now(&self) -> u64 {
        *self.0.changed.borrow()
    }

    /// Resolves with each change of what is offered.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    pub(super) fn snapshot(&self) -> Arc<Snapshot> {
        self.0.snapshot.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn change(&self, change: impl FnOnce(&mut BTreeMap<Arc<str>, Arc<Server>>)) {
        let mut held = self.0.snapshot.write().unwrap_or_else(PoisonError::into_inner);
        let mut servers = held.servers.clone();
        change(&mut servers);
        // Of every server, because one can hold what another was given.
        let secrets = servers.values().flat_map(|server| server.secrets.iter().map(|secret| (&server.name, secret)));
        let scrubber = Scrubber::new(secrets);
        *held = Arc::new(Snapshot { servers, scrubber });
        drop(held);
        self.0.changed.send_modify(|count| *count += 1);
    }
}

impl Server {
    pub fn tool(&self, name: &str) -> Option<(&Arc<str>, &Offer)> {
        self.tools.get_key_value(name)
    }

    pub fn tools(&self) -> impl Iterator<Item = (&Arc<str>, &Offer)> {
        self.tools.iter()
    }
}

/// Tools that are offered again, but say something else.
fn changed(before: &Server, after: &Server) -> impl Iterator<Item = Redefined> {
    after.tools().filter_map(|(name, offer)| {
        let (_, former) = before.tool(name).filter(|(_, former)| former.digest != offer.digest)?;
        let (before, now) = (former.digest.clone(), offer.digest.clone());
        Some(Redefined { server: after.id, tool: name.to_string(), before, now })
    })
}

impl Offer {
    /// The definition as the server gave it.
    pub fn definition(&self) -> &str {
        &self.definition
    }

    /// The definition under another name.
    pub fn named(&self, name: &str, out: &mut String) {
        out.push_str(&self.definition[..self.name.start]);
        // A name's JSON text can always be made.
        out.push_str(&serde_json::to_string(name).unwrap_or_default());
        out.push_str(&self.definition[self.name.end..]);
    }
}

fn offer(tool: Tool) -> Option<(Arc<str>, Offer)> {
    let text = |key: &str| tool.definition.get(key).and_then(Value::as_str).unwrap_or_default();
    let words = format!("{} {} {}", tool.name, text("title"), text("description")).to_lowercase();
    let definition = tool.definition.to_string();
    let name = name_span(&definition)?;
    let marked = mirrored::marked(&tool.definition);
    Some((tool.name.into(), Offer { digest: tool.digest, definition, name, words, marked }))
}

/// Where the value of `name` stands in a definition.
fn name_span(definition: &str) -> Option<Range<usize>> {
    // The envelope's reader finds the name of `params`; a definition is read as if it were one.
    const BEFORE: &str = "{\"jsonrpc\":\"2.0\",\"method\":\"-\",\"params\":";
    let wrapped = format!("{BEFORE}{definition}}}");
    let message = Message::parse(wrapped.as_bytes(), Limits::REQUEST).ok()?;
    let span = message.name_span()?;
    Some(span.start - BEFORE.len()..span.end - BEFORE.len())
}
