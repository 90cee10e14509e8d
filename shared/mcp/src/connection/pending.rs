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
    Open(mpsc::Sender<Said>, Asker),
}

/// Who makes a call. What a server says without naming a call is told to one of its asker's, if all calls under way are.
pub type Asker = u128;

struct Slot {
    answer: oneshot::Sender<Settled>,
    ear: Ear,
}

/// Why a question reaches nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// No call is under way.
    Idle,
    /// It could be meant for more than one asker.
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
    /// The call that something which names none belongs to: the only one, or the newest if one asker made them all. What
    /// could be another's is nobody's.
    fn cause(&self) -> Result<(u64, &mpsc::Sender<Said>), Lost> {
        let mut calls = self.calls.iter().filter(|(_, slot)| !matches!(slot.ear, Ear::Own));
        let first = calls.next().ok_or(Lost::Idle)?;
        let newest = calls.try_fold(first, |newest, next| match (&newest.1.ear, &next.1.ear) {
            (Ear::Open(_, one), Ear::Open(_, other)) if one == other => {
                Some(if newest.0 > next.0 { newest } else { next })
            }
            _ => None,
        });
        match newest.ok_or(Lost::Unclear)? {
            (id, Slot { ear: Ear::Open(sender, _), .. }) => Ok((*id, sender)),
            _ => Err(Lost::Deaf),
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

    /// Hands an answer to its call; false when there is none. What the server asked of it meanwhile may have been about
    /// another: it is not left waiting.
    pub(super) fn settle(shared: &Shared, id: u64, answer: Settled) -> bool {
        let mut state = shared.pending.lock();
        let slot = state.calls.remove(&id);
        let asked = state.forget(id);
        drop(state);
        refuse(shared, asked, "the call was answered meanwhile");
        slot.is_some_and(|slot| slot.answer.send(answer).is_ok())
    }

    /// Says something to the call that it names; false when that call does not listen.
    pub(super) fn tell(&self, call: u64, said: Said) -> bool {
        let state = self.lock();
        let slot = state.calls.get(&call);
        slot.is_some_and(|slot| matches!(&slot.ear, Ear::Open(sender, _) if sender.try_send(said).is_ok()))
    }

    /// Says something that names no call to the one that it belongs to.
    pub(super) fn tell_cause(&self, said: Said) -> Result<(), Lost> {
        let state = self.lock();
        let (_, sender) = state.cause()?;
        sender.try_send(said).map_err(|_| Lost::Full)
    }

    /// Puts a question to the caller of the call that it belongs to.
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
        refuse(shared, asked, "the call was withdrawn");
        shared.outbox.push(
            format!(
                "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id},\
                 \"reason\":\"nobody waits for it any more\"}}}}\n"
            )
            .as_bytes(),
        );
    }
}

fn refuse(shared: &Shared, questions: Vec<String>, why: &str) {
    for question in questions {
        let mut refusal = reply::error(Some(&question), code::INTERNAL, why, None);
        refusal.push(b'\n');
        shared.outbox.push(&refusal);
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
