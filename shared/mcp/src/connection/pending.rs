//! Calls that wait for their answers, and what their server asked meanwhile.

use super::{Answer, Said, Shared};
use crate::{Error, code, json::Refused, reply};
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::{mpsc, oneshot};

pub(super) type Settled = Result<Answer, Refused>;

/// Questions of one server that may wait for answers.
const ASKED: usize = 64;

/// Where ids start: at random, so that an answer to a connection before this one finds no call. Every id is an integer
/// that JavaScript holds exactly.
pub(super) fn first_id() -> u64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 32) << 20
}

/// Who hears what the server says about a call before its answer.
pub(super) enum Ear {
    /// It is a request of our own, which no server has a reason to say anything about.
    Own,
    /// The caller takes nothing but the answer.
    Deaf,
    Open(mpsc::Sender<Said>),
}

struct Slot {
    answer: oneshot::Sender<Settled>,
    ear: Ear,
}

/// Why a question reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No call is under way.
    Idle,
    /// It could belong to more than one call.
    Unclear,
    /// Its caller cannot be asked.
    Deaf,
    /// Too much waits already.
    Full,
}

#[derive(Default)]
pub(super) struct Pending(Mutex<State>);

#[derive(Default)]
struct State {
    calls: HashMap<u64, Slot>,
    /// The server's ids of its questions, and the calls that they belong to.
    asked: HashMap<String, u64>,
    closed: bool,
}

impl State {
    /// The one call that something which names none must belong to.
    fn cause(&self) -> Result<(u64, &mpsc::Sender<Said>), Lost> {
        let mut candidates = self.calls.iter().filter(|(_, slot)| !matches!(slot.ear, Ear::Own));
        match (candidates.next(), candidates.next()) {
            (None, _) => Err(Lost::Idle),
            (Some((id, Slot { ear: Ear::Open(sender), .. })), None) => Ok((*id, sender)),
            (Some(_), None) => Err(Lost::Deaf),
            (Some(_), Some(_)) => Err(Lost::Unclear),
        }
    }

    fn forget(&mut self, call: u64) -> Vec<String> {
        if self.asked.is_empty() {
            return Vec::new();
        }
        self.asked.extract_if(|_, of| *of == call).map(|(id, _)| id).collect()
    }
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().calls.len()
    }

    /// Waits for the answer to a request from now on.
    pub(super) fn expect(&self, id: u64, ear: Ear) -> Result<oneshot::Receiver<Settled>, Error> {
        let (answer, settled) = oneshot::channel();
        let mut state = self.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        state.calls.insert(id, Slot { answer, ear });
        Ok(settled)
    }

    /// Hands an answer to its call; false when there is none.
    pub(super) fn settle(&self, id: u64, answer: Settled) -> bool {
        let mut state = self.lock();
        let slot = state.calls.remove(&id);
        state.forget(id);
        drop(state);
        slot.is_some_and(|slot| slot.answer.send(answer).is_ok())
    }

    /// Says something to the call that it names; false when that call does not listen.
    pub(super) fn tell(&self, call: u64, said: Said) -> bool {
        let state = self.lock();
        let slot = state.calls.get(&call);
        slot.is_some_and(|slot| matches!(&slot.ear, Ear::Open(sender) if sender.try_send(said).is_ok()))
    }

    /// Says something that names no call to the one that it must belong to.
    pub(super) fn tell_cause(&self, said: Said) -> Result<(), Lost> {
        let state = self.lock();
        let (_, sender) = state.cause()?;
        sender.try_send(said).map_err(|_| Lost::Full)
    }

    /// Puts a question to the caller of the call that it must belong to.
    pub(super) fn ask(&self, id: &str, said: Said) -> Result<(), Lost> {
        let mut state = self.lock();
        if state.asked.len() >= ASKED || state.asked.contains_key(id) {
            return Err(Lost::Full);
        }
        let (call, sender) = state.cause()?;
        sender.try_send(said).map_err(|_| Lost::Full)?;
        state.asked.insert(id.to_owned(), call);
        Ok(())
    }

    /// The call that a question of the server belongs to. The question is not open any more.
    pub(super) fn answered(&self, id: &str) -> Option<u64> {
        self.lock().asked.remove(id)
    }

    /// Fails every call, now and from now on.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.calls.clear();
        state.asked.clear();
    }

    /// Takes a call back: the server is told, and not left waiting for what it asked.
    pub(super) fn withdraw(shared: &Shared, id: u64) {
        let mut state = shared.pending.lock();
        if state.calls.remove(&id).is_none() {
            return;
        }
        let asked = state.forget(id);
        drop(state);
        for question in asked {
            let mut refusal = reply::error(Some(&question), code::INTERNAL, "the call was withdrawn", None);
            refusal.push(b'\n');
            shared.outbox.push(&refusal);
        }
        shared.outbox.push(
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id},\
                 \"reason\":\"nobody waits for it any more\"}}}}\n"
            )
            .as_bytes(),
        );
    }
}

/// One call under way. Dropped before its answer came, it is withdrawn and the server told.
pub(super) struct Waiting<'a> {
    shared: &'a Shared,
    id: u64,
    settled: bool,
    answer: oneshot::Receiver<Settled>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(shared: &'a Shared, id: u64, ear: Ear) -> Result<Self, Error> {
        Ok(Self { shared, id, settled: false, answer: shared.pending.expect(id, ear)? })
    }

    pub(super) async fn answer(&mut self) -> Result<Answer, Error> {
        let answer = (&mut self.answer).await;
        self.settled = true;
        answer.map_err(|_| Error::Closed)?.map_err(Error::BadAnswer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.settled {
            Pending::withdraw(self.shared, self.id);
        }
    }
}
