//! What a server is asked to tell by itself: one subscription at the server for all who want it.

use super::{Connection, Shared};
use crate::{Error, Level, Version};
use serde_json::{Value, json};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::Ordering::Relaxed},
};

/// Resources of one server that may be watched at once.
const MOST: usize = 256;

#[derive(Default)]
pub(super) struct Watches(Mutex<HashMap<Arc<str>, Watched>>);

struct Watched {
    by: usize,
    /// The id of the `subscriptions/listen` that asked for it.
    id: u64,
}

impl Watches {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Watched>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// For as long as it lives, the server is subscribed to. It does not keep the connection open.
pub struct Watch {
    shared: Arc<Shared>,
    stateless: bool,
    uri: Arc<str>,
}

impl Connection {
    /// Has the server say when a resource changes, as an `Event`.
    pub async fn watch(&self, uri: &str) -> Result<Watch, Error> {
        let (shared, stateless) = (&self.0.shared, self.peer().version.is_stateless());
        let uri: Arc<str> = uri.into();
        let id = shared.next.fetch_add(1, Relaxed);
        let first = {
            let mut all = shared.watches.lock();
            if all.len() >= MOST && !all.contains_key(&uri) {
                return Err(Error::Rpc {
                    code: crate::code::INTERNAL,
                    message: "too many resources are watched".into(),
                });
            }
            let watched = all.entry(uri.clone()).or_insert(Watched { by: 0, id });
            watched.by += 1;
            watched.by == 1
        };
        let watch = Watch { shared: shared.clone(), stateless, uri };
        if first && stateless {
            listen(shared, id, &json!({"resourceSubscriptions": [&*watch.uri]}));
        } else if first {
            self.request("resources/subscribe", &json!({"uri": &*watch.uri})).await?;
        }
        Ok(watch)
    }

    /// A stateless server says nothing by itself: it is asked for what it can tell.
    pub(super) fn listen_for_lists(&self) {
        let peer = self.peer();
        let tells = |what: &str| peer.capabilities[what]["listChanged"] == true;
        let wanted: serde_json::Map<String, Value> = ["tools", "prompts", "resources"]
            .into_iter()
            .filter(|what| tells(what))
            .map(|what| (format!("{what}ListChanged"), true.into()))
            .collect();
        if peer.version.is_stateless() && !wanted.is_empty() {
            let shared = &self.0.shared;
            listen(shared, shared.next.fetch_add(1, Relaxed), &wanted.into());
        }
    }

    /// Has an older server log from this level on, unless it logs more already: another caller wants that. A stateless
    /// server is told the level in each request.
    pub fn log_from(&self, level: Level) {
        let shared = &self.0.shared;
        let before = shared.level.fetch_min(level as u8, Relaxed);
        if before > level as u8 && !self.peer().version.is_stateless() {
            let id = shared.next.fetch_add(1, Relaxed);
            ask(shared, id, "logging/setLevel", &json!({"level": level.as_str()}));
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let shared = &self.shared;
        let mut all = shared.watches.lock();
        let Some(watched) = all.get_mut(&self.uri) else { return };
        watched.by -= 1;
        if watched.by > 0 {
            return;
        }
        let id = watched.id;
        all.remove(&self.uri);
        if self.stateless {
            let line = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
            shared.outbox.push(format!("{line}\n").as_bytes());
        } else {
            ask(shared, shared.next.fetch_add(1, Relaxed), "resources/unsubscribe", &json!({"uri": &*self.uri}));
        }
    }
}

fn listen(shared: &Shared, id: u64, wanted: &Value) {
    let meta = json!({
        "io.modelcontextprotocol/protocolVersion": Version::V2026_07_28.as_str(),
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    ask(shared, id, "subscriptions/listen", &json!({"notifications": wanted, "_meta": meta}));
}

/// Nothing is learnt from the answer, so nobody waits for it.
fn ask(shared: &Shared, id: u64, method: &str, params: &Value) {
    let line = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
    shared.outbox.push(format!("{line}\n").as_bytes());
}
