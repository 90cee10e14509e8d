//! Calls that wait for their answers.

use super::{Answer, Shared};
use crate::{Error, json::Refused};
use std::{
    collections::HashMap,
    hash::{BuildHasher, Hasher, RandomState},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::sync::oneshot;

type Slot = oneshot::Sender<Result<Answer, Refused>>;

/// Where ids start: at random, so that an answer to a connection before this one finds no call. Every id is an integer
/// that JavaScript holds exactly.
pub(super) fn first_id() -> u64 {
    let random = RandomState::new().build_hasher().finish();
    (random >> 32) << 20
}

#[derive(Default)]
pub(super) struct Pending(Mutex<State>);

#[derive(Default)]
struct State {
    calls: HashMap<u64, Slot>,
    closed: bool,
}

impl Pending {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.lock().calls.len()
    }

    /// Hands an answer to its call; false when there is none.
    pub(super) fn settle(&self, id: u64, answer: Result<Answer, Refused>) -> bool {
        let slot = self.lock().calls.remove(&id);
        slot.is_some_and(|slot| slot.send(answer).is_ok())
    }

    /// Fails every call, now and from now on.
    pub(super) fn clear(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.calls.clear();
    }
}

/// One call under way. Dropped before its answer came, it is withdrawn and the server told.
pub(super) struct Waiting<'a> {
    shared: &'a Shared,
    id: u64,
    settled: bool,
    answer: oneshot::Receiver<Result<Answer, Refused>>,
}

impl<'a> Waiting<'a> {
    pub(super) fn new(shared: &'a Shared, id: u64) -> Result<Self, Error> {
        let (slot, answer) = oneshot::channel();
        let mut state = shared.pending.lock();
        if state.closed {
            return Err(Error::Closed);
        }
        state.calls.insert(id, slot);
        Ok(Self { shared, id, settled: false, answer })
    }

    pub(super) async fn answer(&mut self) -> Result<Answer, Error> {
        let answer = (&mut self.answer).await;
        self.settled = true;
        answer.map_err(|_| Error::Closed)?.map_err(Error::BadAnswer)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if !self.settled && self.shared.pending.lock().calls.remove(&self.id).is_some() {
            let id = self.id;
            self.shared.outbox.push(
                format!(
                    "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/cancelled\",\"params\":{{\"requestId\":{id},\
                     \"reason\":\"nobody waits for it any more\"}}}}\n"
                )
                .as_bytes(),
            );
        }
    }
}
