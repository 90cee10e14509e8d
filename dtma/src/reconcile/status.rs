//! What is reported of each server. A change wakes the check-in.

use super::Tail;
use protocol::{
    ids::ServerId,
    server::{ServerSpec, ServerState, ServerStatus, Tool},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::watch;

/// Cheap to clone; clones share everything.
#[derive(Clone)]
pub struct Statuses(Arc<Inner>);

struct Inner {
    servers: Mutex<BTreeMap<ServerId, Entry>>,
    changed: watch::Sender<u64>,
}

struct Entry {
    name: String,
    status: ServerStatus,
    tail: Tail,
}

impl Default for Statuses {
    fn default() -> Self {
        Self(Arc::new(Inner { servers: Mutex::default(), changed: watch::channel(0).0 }))
    }
}

impl Statuses {
    /// Begins to report a server, or goes on with another specification of it. Returns where its lines go.
    pub fn begin(&self, spec: &ServerSpec, state: ServerState) -> Tail {
        self.change(|servers| {
            let entry = servers.entry(spec.id).or_insert_with(|| Entry {
                name: spec.name.clone(),
                status: blank(spec, state),
                tail: Tail::default(),
            });
            entry.name = spec.name.clone();
            entry.status = blank(spec, state);
            entry.tail.clone()
        })
    }

    pub fn update(&self, server: ServerId, work: impl FnOnce(&mut ServerStatus)) {
        let changed = {
            let mut servers = self.lock();
            let Some(entry) = servers.get_mut(&server) else { return };
            let before = entry.status.clone();
            work(&mut entry.status);
            entry.status != before
        };
        if changed {
            self.0.changed.send_modify(|count| *count += 1);
        }
    }

    /// Keeps only servers that are still wanted.
    pub fn retain(&self, wanted: impl Fn(&ServerId) -> bool) {
        let gone = self.lock().keys().any(|id| !wanted(id));
        if gone {
            self.change(|servers| servers.retain(|id, _| wanted(id)));
        }
    }

    pub fn all(&self) -> Vec<ServerStatus> {
        self.lock().values().map(|entry| entry.status.clone()).collect()
    }

    /// For `dtma status`: names with their statuses, without the tools' definitions.
    pub fn named(&self) -> BTreeMap<String, (ServerStatus, usize)> {
        let brief = |entry: &Entry| {
            let tools = entry.status.tools.as_ref().map_or(0, Vec::len);
            (entry.name.clone(), (ServerStatus { tools: None, ..entry.status.clone() }, tools))
        };
        self.lock().values().map(brief).collect()
    }

    pub fn tail(&self, name: &str) -> Option<Tail> {
        self.lock().values().find(|entry| entry.name == name).map(|entry| entry.tail.clone())
    }

    /// True when nothing is on its way: each server runs, or failed and said so.
    pub fn settled(&self, wanted: impl Iterator<Item = ServerId>) -> bool {
        let servers = self.lock();
        let mut wanted = wanted;
        wanted.all(|id| {
            servers.get(&id).is_some_and(|entry| {
                matches!(entry.status.state, ServerState::Running | ServerState::Failed | ServerState::BackingOff)
            })
        })
    }

    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    fn change<T>(&self, work: impl FnOnce(&mut BTreeMap<ServerId, Entry>) -> T) -> T {
        let done = work(&mut self.lock());
        self.0.changed.send_modify(|count| *count += 1);
        done
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<ServerId, Entry>> {
        self.0.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn blank(spec: &ServerSpec, state: ServerState) -> ServerStatus {
    ServerStatus {
        id: spec.id,
        state,
        revision: spec.revision,
        detail: None,
        exit_code: None,
        log_tail: vec![],
        pinned: None,
        tools: None,
        started_at: None,
    }
}

/// What is reported when a server runs.
pub(super) fn running(status: &mut ServerStatus, tools: Vec<Tool>) {
    status.state = ServerState::Running;
    status.detail = None;
    status.exit_code = None;
    status.log_tail = vec![];
    status.tools = Some(tools);
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::server::Source;
    use std::collections::BTreeMap;

    #[test]
    fn only_a_change_is_told() {
        let spec = ServerSpec {
            id: ServerId::new(),
            name: "one".to_owned(),
            source: Source::Oci { image: "x".to_owned() },
            args: Vec::new(),
            env: BTreeMap::new(),
            secrets: Vec::new(),
            hosts: Vec::new(),
            revision: 1,
        };
        let statuses = Statuses::default();
        statuses.begin(&spec, ServerState::Starting);
        let mut changes = statuses.changes();
        let mut update = |detail: &str| {
            statuses.update(spec.id, |status| status.detail = Some(detail.to_owned()));
            let changed = changes.has_changed().expect("it lives");
            changes.mark_unchanged();
            changed
        };
        assert!(update("a"));
        assert!(!update("a"));
        assert!(update("b"));
    }
}
