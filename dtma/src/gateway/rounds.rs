//! A stateless server that needs input, and a client of sessions: the client is asked as its revision asks, and the server
//! is called again with what the client said.

use super::{
    ear,
    exchange::{Exchange, Step, cancelled},
    questions::Reply,
    record::Outcome,
    send::{REVOKED, revoked},
};
use mcp::{
    Message,
    connection::{InputRequired, Kind},
    json::Limits,
    message::ClientSaid,
};
use serde::Deserialize;
use serde_json::{Map, Value, value::RawValue};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// How often a server may ask before it answers.
const ROUNDS: u32 = 16;
/// Things that it may ask for at once.
const REQUESTS: usize = 16;
/// How long a server that only wants to be called later is left alone.
const PAUSE: Duration = Duration::from_millis(200);

/// The request as the client wrote it, to be made again.
pub(super) struct Again {
    pub(super) text: String,
    /// The name that the server knows the tool by, when the client's is another.
    pub(super) name: Option<Arc<str>>,
    pub(super) rounds: u32,
}

pub(super) struct Round {
    again: Again,
    wanted: usize,
    given: Map<String, Value>,
    /// JSON text.
    state: Option<String>,
}

#[derive(Deserialize)]
struct Request<'a> {
    method: String,
    #[serde(borrow)]
    params: Option<&'a RawValue>,
}

impl Round {
    /// Nothing is asked yet.
    pub(super) fn new(again: Again) -> Self {
        Self { again, wanted: 0, given: Map::new(), state: None }
    }
}

impl Exchange {
    pub(super) async fn require(&mut self, required: InputRequired<'_>) -> Option<Step> {
        let requests = required.requests.unwrap_or("{}");
        let Ok(requests) = serde_json::from_str::<BTreeMap<String, Request<'_>>>(requests) else {
            return Some(self.over(Outcome::Unavailable, "the server's answer could not be used"));
        };
        let questions: Option<Vec<_>> = requests.iter().map(|(key, request)| self.put(key, request)).collect();
        let (Some(questions), Some(round)) = (questions.filter(|all| all.len() <= REQUESTS), &mut self.round) else {
            return Some(self.over(Outcome::Unavailable, "the server needs input that this client does not give"));
        };
        round.again.rounds += 1;
        if round.again.rounds > ROUNDS {
            return Some(self.over(Outcome::Unavailable, "the server asks without end"));
        }
        round.wanted = questions.len();
        round.given.clear();
        round.state = required.state.map(str::to_owned);
        self.call = None;
        self.events.extend(questions);
        if round.wanted > 0 {
            return None;
        }
        tokio::time::sleep(PAUSE).await;
        self.call_again().await
    }

    /// A question as the client's revision puts it.
    fn put(&mut self, key: &str, request: &Request<'_>) -> Option<Vec<u8>> {
        let kind =
            [Kind::Sampling, Kind::Elicitation, Kind::Roots].into_iter().find(|k| k.method() == request.method)?;
        let params = request.params.map_or("{}", RawValue::get);
        if !self.client.ear.abilities.allow(kind, params) {
            return None;
        }
        let ours = self.questions.as_mut()?.ask(key)?;
        let method = kind.method();
        self.clean(
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{ours},\"method\":\"{method}\",\"params\":{params}}}").into_bytes(),
        )
    }

    pub(super) async fn gather(&mut self, reply: Reply) -> Option<Step> {
        let given = reply.text.strip_prefix("\"result\":").and_then(|result| serde_json::from_str(result).ok());
        let Some(given) = given else {
            return Some(self.over(Outcome::Unavailable, "the client did not give what the server needs"));
        };
        let round = self.round.as_mut()?;
        round.given.insert(reply.theirs, given);
        if round.given.len() < round.wanted {
            return None;
        }
        self.call_again().await
    }

    async fn call_again(&mut self) -> Option<Step> {
        let round = self.round.as_ref()?;
        let inputs = Value::from(round.given.clone()).to_string();
        let text = round.again.text.clone();
        // It was read before.
        let message = Message::parse(text.as_bytes(), Limits::REQUEST).ok()?;
        let rewrite = match &round.again.name {
            Some(name) => message.rewrite_named(name),
            None => message.rewrite(),
        };
        let said = ClientSaid {
            capabilities: self.client.ear.abilities.text(),
            log_level: self.client.session.as_ref().and_then(|session| session.level()).map(mcp::Level::as_str),
        };
        let rewrite = message.with_inputs(rewrite.of_client(said), &inputs, round.state.as_deref());
        let left = self.until.saturating_duration_since(Instant::now());
        let asker = self.client.asker(self.checked.agent());
        let mut heard = self.heard.clone();
        tokio::select! {
            biased;
            // Not cancel-safe, and need not be: dropped, it was not sent, or is withdrawn.
            begun = self.server.connection.begin(&message, rewrite, left, asker) => match begun {
                Ok(call) => {
                    self.call = Some(call);
                    None
                }
                Err(error) => Some(self.failed(&error)),
            },
            // Cancel-safe: a permit that is not taken stays.
            () = cancelled(&self.client) => Some(self.over(Outcome::Cancelled, "cancelled")),
            // Cancel-safe: it only looks.
            () = revoked(&self.gateway, &self.checked, &mut heard) => Some(self.over(Outcome::Revoked, REVOKED)),
        }
    }
}

/// The request, where it may have to be made again.
pub(super) fn again(message: &Message<'_>, ear: &ear::Ear, stateless: bool, name: Option<&Arc<str>>) -> Option<Round> {
    let first = message.inputs().is_none() && message.state().is_none();
    let may = stateless && first && ear.abilities.any();
    may.then(|| Round::new(Again { text: message.text().to_owned(), name: name.cloned(), rounds: 0 }))
}
