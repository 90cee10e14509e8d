//! Sessions of the revisions before 2026-07-28. A session belongs to an agent, not to a token, so it outlives the
//! quarter of an hour that a token does; every request still shows a token.

use super::now;
use mcp::Version;
use protocol::ids::AgentId;
use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicI64, Ordering::Relaxed},
    },
};
use tokio::sync::Notify;
use uuid::Uuid;

/// Sessions that may be open, in all and of one agent.
const MOST: usize = 10_000;
const MOST_OF_ONE: usize = 2_000;
/// Seconds without a request after which a session may make room for another.
const IDLE: i64 = 3600;

pub(super) struct Session {
    pub(super) id: Arc<str>,
    pub(super) version: Version,
    agent: AgentId,
    /// The one server that it is about, or none for all.
    scope: Option<Arc<str>>,
    used: AtomicI64,
    /// Calls under way, by the client's own id.
    calls: Mutex<HashMap<String, Arc<Notify>>>,
}

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Arc<str>, Arc<Session>>>);

impl Sessions {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A new session; none when there is no room.
    pub(super) fn open(&self, agent: AgentId, scope: Option<&str>, version: Version) -> Option<Arc<Session>> {
        let id: Arc<str> = Uuid::new_v4().simple().to_string().into();
        let session = Arc::new(Session {
            id: id.clone(),
            version,
            agent,
            scope: scope.map(Into::into),
            used: AtomicI64::new(now()),
            calls: Mutex::default(),
        });
        let mut sessions = self.lock();
        let own = |sessions: &HashMap<_, Arc<Session>>| sessions.values().filter(|s| s.agent == agent).count();
        if sessions.len() >= MOST || own(&sessions) >= MOST_OF_ONE {
            let dead = now() - IDLE;
            sessions.retain(|_, session| session.used.load(Relaxed) > dead);
            if sessions.len() >= MOST || own(&sessions) >= MOST_OF_ONE {
                return None;
            }
        }
        sessions.insert(id, session.clone());
        Some(session)
    }

    /// The session, when it is this agent's and about this server.
    pub(super) fn find(&self, id: &str, agent: AgentId, scope: Option<&str>) -> Option<Arc<Session>> {
        let session = self.lock().get(id)?.clone();
        if session.agent != agent || session.scope.as_deref() != scope {
            return None;
        }
        session.used.store(now(), Relaxed);
        Some(session)
    }

    /// Ends a session and cancels what is under way in it.
    pub(super) fn close(&self, session: &Session) {
        self.lock().remove(&session.id);
        for call in session.calls().values() {
            call.notify_one();
        }
    }
}

impl Session {
    fn calls(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Notify>>> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Marks a call as under way; none when the id is in use.
    pub(super) fn begin<'s>(&'s self, id: &'s str) -> Option<UnderWay<'s>> {
        let cancelled = Arc::new(Notify::new());
        let mut calls = self.calls();
        if calls.contains_key(id) {
            return None;
        }
        calls.insert(id.to_owned(), cancelled.clone());
        Some(UnderWay { session: self, id, cancelled })
    }

    /// The client does not want the answer any more.
    pub(super) fn cancel(&self, id: &str) {
        if let Some(call) = self.calls().get(id) {
            call.notify_one();
        }
    }
}

pub(super) struct UnderWay<'s> {
    session: &'s Session,
    id: &'s str,
    pub(super) cancelled: Arc<Notify>,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.session.calls().remove(self.id);
    }
}
