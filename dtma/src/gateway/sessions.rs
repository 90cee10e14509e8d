//! Sessions of the revisions before 2026-07-28. A session belongs to an agent, not to a token, so it outlives the
//! quarter of an hour that a token does; every request still shows a token.

use super::{ability::Abilities, questions::Reply};
use mcp::{
    Level, Version,
    connection::{Asker, Watch},
};
use protocol::ids::AgentId;
use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicI64, AtomicU8, AtomicU64, Ordering::Relaxed},
    },
};
use tokio::sync::{Notify, mpsc, watch};
use uuid::Uuid;

/// Sessions that may be open, in all and of one agent.
const MOST: usize = 10_000;
const MOST_OF_ONE: usize = 2_000;
/// Seconds without a request or a stream after which a session is over, and between two looks for such sessions.
const IDLE: i64 = 3600;
const LOOK: i64 = 60;
/// Questions that may wait for one client's answers.
pub(super) const ASKED: usize = 32;
/// Resources that one session may watch, and pages on which it may be expected.
const WATCHED: usize = 64;

type Asked = HashMap<String, (String, mpsc::Sender<Reply>)>;

pub(super) struct Session {
    pub(super) id: Arc<str>,
    pub(super) asker: Asker,
    pub(super) version: Version,
    /// What its client can be asked for.
    pub(super) abilities: Abilities,
    agent: AgentId,
    /// The one server that it is about, or none for all.
    scope: Option<Arc<str>>,
    used: AtomicI64,
    /// The change of what is offered that its client knows of.
    told: AtomicU64,
    /// Calls under way, by the client's own id.
    calls: Mutex<HashMap<Arc<str>, Arc<Notify>>>,
    /// What the client was asked, by our id (JSON text): whoever asked calls it otherwise, and hears the answer.
    asked: Mutex<Asked>,
    next: AtomicU64,
    /// The least level of logging that was wished for; none at first.
    level: AtomicU8,
    /// Subscribed resources, by URI.
    watches: Mutex<BTreeMap<String, Watch>>,
    /// Pages that the user was sent to: ids of elicitations.
    visits: Mutex<VecDeque<String>>,
    ended: watch::Sender<bool>,
}

#[derive(Default)]
pub(super) struct Sessions {
    open: Mutex<HashMap<Arc<str>, Arc<Session>>>,
    /// When it was last looked for those that are over.
    looked: AtomicI64,
}

impl Sessions {
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Session>>> {
        lock(&self.open)
    }

    /// Ends those that nobody has used for long: what they watch is watched no more.
    fn tidy(&self, now: i64) {
        let mut over = Vec::new();
        // Streams and calls under way hold theirs.
        let idle = |session: &Arc<Session>| session.used.load(Relaxed) < now - IDLE && Arc::strong_count(session) == 1;
        self.lock().retain(|_, session| {
            let keep = !idle(session);
            if !keep {
                over.push(session.clone());
            }
            keep
        });
        // Outside of the lock: the end of a subscription is told to its server.
        drop(over);
    }

    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// A new session; none when there is no room.
    pub(super) fn open(
        &self,
        agent: AgentId,
        scope: Option<&str>,
        version: Version,
        abilities: Abilities,
        now: i64,
    ) -> Option<Arc<Session>> {
        if now - self.looked.load(Relaxed) >= LOOK {
            self.looked.store(now, Relaxed);
            self.tidy(now);
        }
        let random = Uuid::new_v4();
        let id: Arc<str> = random.simple().to_string().into();
        let session = Arc::new(Session {
            id: id.clone(),
            asker: random.as_u128(),
            version,
            abilities,
            agent,
            scope: scope.map(Into::into),
            used: AtomicI64::new(now),
            told: AtomicU64::new(0),
            calls: Mutex::default(),
            asked: Mutex::default(),
            next: AtomicU64::new(1),
            level: AtomicU8::new(u8::MAX),
            watches: Mutex::default(),
            visits: Mutex::default(),
            ended: watch::channel(false).0,
        });
        let mut sessions = self.lock();
        let own = |sessions: &HashMap<_, Arc<Session>>| sessions.values().filter(|s| s.agent == agent).count();
        if sessions.len() >= MOST || own(&sessions) >= MOST_OF_ONE {
            return None;
        }
        sessions.insert(id, session.clone());
        Some(session)
    }

    /// The session, when it is this agent's and about this server.
    pub(super) fn find(&self, id: &str, agent: AgentId, scope: Option<&str>, now: i64) -> Option<Arc<Session>> {
        let session = self.lock().get(id)?.clone();
        if session.agent != agent || session.scope.as_deref() != scope {
            return None;
        }
        session.used.store(now, Relaxed);
        Some(session)
    }

    /// Ends a session and cancels what is under way in it.
    pub(super) fn close(&self, session: &Session) {
        self.lock().remove(&session.id);
        for call in session.calls().values() {
            call.notify_one();
        }
        session.ended.send_replace(true);
        lock(&session.watches).clear();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    fn calls(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<Notify>>> {
        lock(&self.calls)
    }

    /// Resolves when it was closed.
    pub(super) async fn ended(&self) {
        // An error means that the sender is gone, which it is not while we are here.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// Its client knows of what is offered, up to this change; true when it did not.
    pub(super) fn tell(&self, change: u64) -> bool {
        self.told.swap(change, Relaxed) != change
    }

    pub(super) fn level(&self) -> Option<Level> {
        Level::ALL.get(usize::from(self.level.load(Relaxed))).copied()
    }

    pub(super) fn set_level(&self, level: Level) {
        self.level.store(level as u8, Relaxed);
    }

    /// An id of ours (JSON text) for a question to its client; none when too many wait.
    pub(super) fn ask(&self, theirs: &str, sender: &mpsc::Sender<Reply>) -> Option<String> {
        let mut asked = lock(&self.asked);
        if asked.len() >= ASKED {
            return None;
        }
        let ours = self.next.fetch_add(1, Relaxed).to_string();
        asked.insert(ours.clone(), (theirs.to_owned(), sender.clone()));
        Some(ours)
    }

    pub(super) fn forget(&self, ours: &str) {
        lock(&self.asked).remove(ours);
    }

    /// The client answers. To a question that is not open nobody listens.
    pub(super) fn answer(&self, ours: &str, text: String) {
        let asked = lock(&self.asked).remove(ours);
        if let Some((theirs, sender)) = asked {
            // There is room for as many as may be asked; a call that is over does not listen.
            let _ = sender.try_send(Reply { theirs, text });
        }
    }

    /// Keeps a subscription; false when there are too many.
    pub(super) fn watch(&self, uri: &str, watch: Watch) -> bool {
        let mut watches = lock(&self.watches);
        let room = watches.len() < WATCHED || watches.contains_key(uri);
        if room {
            watches.insert(uri.to_owned(), watch);
        }
        room
    }

    pub(super) fn unwatch(&self, uri: &str) {
        lock(&self.watches).remove(uri);
    }

    pub(super) fn watched(&self) -> Vec<String> {
        lock(&self.watches).keys().cloned().collect()
    }

    /// The user is sent to a page, and the server will say when he was there.
    pub(super) fn visit(&self, elicitation: String) {
        let mut visits = lock(&self.visits);
        if visits.len() >= WATCHED {
            visits.pop_front();
        }
        visits.push_back(elicitation);
    }

    pub(super) fn visits(&self, elicitation: &str) -> bool {
        lock(&self.visits).iter().any(|visit| visit == elicitation)
    }

    /// Marks a call as under way; none when the id is in use.
    pub(super) fn begin(self: &Arc<Self>, id: &str) -> Option<UnderWay> {
        let cancelled = Arc::new(Notify::new());
        let mut calls = self.calls();
        if calls.contains_key(id) {
            return None;
        }
        let id: Arc<str> = id.into();
        calls.insert(id.clone(), cancelled.clone());
        drop(calls);
        Some(UnderWay { session: self.clone(), id, cancelled })
    }

    /// The client does not want the answer any more.
    pub(super) fn cancel(&self, id: &str) {
        if let Some(call) = self.calls().get(id) {
            call.notify_one();
        }
    }
}

pub(super) struct UnderWay {
    session: Arc<Session>,
    id: Arc<str>,
    pub(super) cancelled: Arc<Notify>,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.session.calls().remove(&self.id);
    }
}
