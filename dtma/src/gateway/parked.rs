//! An older server that asks, and a client of 2026-07-28: the call waits here while the client is told what is needed by the
//! result, and goes on when the client calls again with it. The handle is good for the same caller, tool and arguments, once,
//! and for as long as the call may take.

use super::{
    Gateway,
    exchange::{Client, Exchange},
    record::Outcome,
    seal::Bound,
    send::{Deliver, WITHHELD, revoked},
};
use mcp::{
    code,
    connection::{Kind, Said},
    reply,
};
use protocol::ids::AgentId;
use serde_json::value::RawValue;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};
use tokio::time::sleep_until;
use tokio_util::task::AbortOnDropHandle;
use uuid::Uuid;

/// Calls that may wait for their clients, in all and of one agent.
const MOST: usize = 256;
const MOST_OF_ONE: usize = 16;
const PREFIX: &str = "parked-";

#[derive(Default)]
pub(super) struct Parked(Mutex<HashMap<String, Held>>);

struct Held {
    exchange: Exchange,
    question: Said,
    agent: AgentId,
    /// Ends the wait.
    _watching: AbortOnDropHandle<()>,
}

impl Parked {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Holds a call until it is taken, its time is over, or its capability is revoked.
    fn hold(&self, handle: &str, exchange: Exchange, question: Said) -> Result<(), Box<Exchange>> {
        let agent = exchange.checked.agent();
        let mut all = self.lock();
        let of_one = all.values().filter(|other| other.agent == agent).count();
        if all.len() >= MOST || of_one >= MOST_OF_ONE {
            return Err(Box::new(exchange));
        }
        // It cannot look before the call is there: that takes the lock.
        let watching = AbortOnDropHandle::new(tokio::spawn(watch(&exchange, handle.to_owned())));
        all.insert(handle.to_owned(), Held { exchange, question, agent, _watching: watching });
        Ok(())
    }

    /// The call, when it is this one.
    fn take(&self, handle: &str, bound: &Bound) -> Option<Held> {
        let mut all = self.lock();
        // Whose it is not learns nothing, and takes nothing away.
        let good = all.get(handle).is_some_and(|held| held.exchange.bound == *bound);
        good.then(|| all.remove(handle)).flatten()
    }
}

pub(super) fn is(state: &str) -> bool {
    state.starts_with(PREFIX)
}

/// The key of a question among those of one result.
fn key(question: &Said) -> &'static str {
    match question.kind {
        Kind::Sampling => "sampling",
        Kind::Roots => "roots",
        _ => "elicitation",
    }
}

/// Puts a call aside; the answer that asks its client.
pub(super) fn park(exchange: Exchange, question: Said) -> Vec<u8> {
    let (method, params, key) = (question.kind.method(), question.params(), key(&question));
    let handle = format!("{PREFIX}{}", Uuid::new_v4().simple());
    let result = format!(
        "{{\"resultType\":\"input_required\",\"inputRequests\":{{\"{key}\":{{\"method\":\"{method}\",\"params\":{params}}}}},\
         \"requestState\":\"{handle}\"}}"
    );
    let id = exchange.client.id.clone();
    let Some(answer) = exchange.clean(reply::result(&id, &result)) else {
        return reply::error(Some(&id), code::INTERNAL, WITHHELD, None);
    };
    if let Err(mut exchange) = exchange.gateway.clone().parked.hold(&handle, exchange, question) {
        exchange.entry.note(Outcome::Unavailable);
        return reply::error(Some(&id), code::INTERNAL, "too many calls wait for their clients", None);
    }
    answer
}

/// Gives a call up that nobody comes back for.
fn watch(exchange: &Exchange, handle: String) -> impl Future<Output = ()> + use<> {
    let (gateway, until) = (exchange.gateway.clone(), exchange.until);
    let (checked, mut heard) = (exchange.checked.clone(), exchange.heard.clone());
    async move {
        let outcome = tokio::select! {
            // Cancel-safe: both only look.
            () = sleep_until(until) => Outcome::TimedOut,
            () = revoked(&gateway, &checked, &mut heard) => Outcome::Revoked,
        };
        let held = gateway.parked.lock().remove(&handle);
        if let Some(mut held) = held {
            held.exchange.entry.note(outcome);
        }
    }
}

/// The call goes on with what its client brought; an error is the answer to it.
pub(super) fn resume(
    gateway: &Gateway,
    handle: &str,
    bound: &Bound,
    inputs: Option<&str>,
    client: Client,
) -> Result<Exchange, Vec<u8>> {
    let Some(held) = gateway.parked.take(handle, bound) else {
        let what = "requestState is not good here (any more); call again without it";
        return Err(reply::error(Some(&client.id), code::INVALID_PARAMS, what, None));
    };
    let Held { mut exchange, question, .. } = held;
    exchange.client = client;
    let inputs: BTreeMap<String, &RawValue> = serde_json::from_str(inputs.unwrap_or("{}")).unwrap_or_default();
    let given = inputs.get(key(&question)).map(|given| given.get()).filter(|given| given.starts_with('{'));
    let (Some(given), Some(theirs)) = (given, question.id()) else {
        // It did not bring what was asked for, and is asked once more.
        return Err(park(exchange, question));
    };
    if let Some(call) = &exchange.call {
        call.reply(theirs, &format!("\"result\":{given}"));
    }
    Ok(exchange)
}

impl Deliver<'_> {
    /// A server's own `requestState`, sealed for its way through the client's hands.
    pub(super) fn sealed(&self, answer: &mcp::Answer, bound: &Bound) -> Option<Vec<u8>> {
        let state = answer.input_required()?.state?;
        let state: String = serde_json::from_str(state).ok()?;
        let sealed = self.gateway.seal.close(bound, self.gateway.verifier.time(super::now()), &state);
        Some(answer.with_state(self.id, &serde_json::Value::from(sealed).to_string()))
    }
}
