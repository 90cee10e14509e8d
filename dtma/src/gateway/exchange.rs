//! A call whose client hears what the server says before it answers: progress and logs pass, questions of the server are
//! put to the client and answered. As long as there is nothing to say, the answer is plain JSON; the first thing that is
//! said makes it a stream of events. A client of 2026-07-28 is asked through the result instead (`parked`).

use super::{
    Gateway,
    ear::Ear,
    entry::Entry,
    parked,
    questions::{Questions, Reply},
    record::Outcome,
    registry::Server,
    rounds::Round,
    seal::Bound,
    send::{Deliver, REVOKED, failure, revoked},
    sessions::{Session, UnderWay},
    unread::{self, Unread, unread},
};
use axum::{
    http::{HeaderValue, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use capability::Checked;
use futures::stream;
use mcp::{
    Answer, Error, Level, code,
    connection::{Asker, Call, Heard, Kind, Said},
    reply,
};
use protocol::ids::AgentId;
use serde::Deserialize;
use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};
use tokio::{sync::watch, time::Instant};
use uuid::Uuid;

/// The client's side of it: another one each time that a stateless client comes back.
pub(super) struct Client {
    /// Its own id of the request, JSON text.
    pub(super) id: String,
    pub(super) ear: Ear,
    pub(super) session: Option<Arc<Session>>,
    pub(super) under_way: Option<UnderWay>,
    /// The result is one that says how long it keeps.
    pub(super) cached: bool,
}

impl Client {
    /// Who hears what a server says without naming a call: this session, or this agent if it has none.
    pub(super) fn asker(&self, agent: AgentId) -> Asker {
        self.session.as_ref().map_or_else(|| Uuid::from(agent).as_u128(), |session| session.asker)
    }
}

pub(super) struct Exchange {
    pub(super) gateway: Gateway,
    pub(super) checked: Arc<Checked>,
    pub(super) server: Arc<Server>,
    pub(super) client: Client,
    pub(super) entry: Entry,
    pub(super) bound: Bound,
    pub(super) limit: Duration,
    pub(super) until: Instant,
    /// None between two rounds with a stateless server.
    pub(super) call: Option<Call>,
    pub(super) questions: Option<Questions>,
    /// What a stateless server wants to know before it is called again.
    pub(super) round: Option<Round>,
    pub(super) events: VecDeque<Vec<u8>>,
    pub(super) heard: watch::Receiver<()>,
}

pub(super) enum Step {
    Event(Vec<u8>),
    Last(StatusCode, Vec<u8>),
    /// A question for a client that is asked through the result.
    Ask(Said),
}

enum Next {
    Heard(Result<Heard, Error>),
    Reply(Reply),
    Cancelled,
    Revoked,
    Late,
}

impl Exchange {
    pub(super) async fn respond(mut self) -> Response {
        match self.step().await {
            Step::Last(status, body) => {
                let (gateway, agent) = (&self.gateway, self.checked.agent());
                unread::respond(gateway, agent, &self.client.id, status, body)
            }
            Step::Ask(said) => super::denial::json(StatusCode::OK, parked::park(self, said)),
            Step::Event(first) => self.stream(first),
        }
    }

    fn stream(self, first: Vec<u8>) -> Response {
        let events = stream::unfold((Some(self), Some(first), None), |(exchange, first, read)| async move {
            // Whoever asks for more has taken what was before it.
            drop(read);
            let mut exchange = exchange?;
            if let Some(first) = first {
                return Some((event(first), (Some(exchange), None, None)));
            }
            Some(match exchange.step().await {
                Step::Event(said) => (event(said), (Some(exchange), None, None)),
                Step::Last(_, body) => {
                    let Unread { bytes, room } =
                        unread(&exchange.gateway, exchange.checked.agent(), &exchange.client.id, body);
                    (event(bytes), (None, None, room))
                }
                Step::Ask(said) => (event(parked::park(exchange, said)), (None, None, None)),
            })
        });
        let mut response = Sse::new(events).keep_alive(KeepAlive::default()).into_response();
        // A proxy in between must not gather events.
        response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
        response
    }

    /// What the client is to hear next. Not cancel-safe: dropped, the call is over.
    async fn step(&mut self) -> Step {
        loop {
            if let Some(said) = self.events.pop_front() {
                return Step::Event(said);
            }
            let next = tokio::select! {
                biased;
                // Cancel-safe.
                heard = next(&mut self.call) => Next::Heard(heard),
                // Cancel-safe: a channel keeps what is not taken.
                reply = answered(&mut self.questions) => Next::Reply(reply),
                // Cancel-safe: a permit that is not taken stays.
                () = cancelled(&self.client) => Next::Cancelled,
                // Cancel-safe: it only looks.
                () = revoked(&self.gateway, &self.checked, &mut self.heard) => Next::Revoked,
                // Cancel-safe: it only waits. The call itself ends earlier when there is one.
                () = tokio::time::sleep_until(self.until) => Next::Late,
            };
            let step = match next {
                Next::Heard(Ok(Heard::Said(said))) => self.said(said),
                Next::Heard(Ok(Heard::Answer(answer))) => self.answer(answer).await,
                Next::Heard(Err(error)) => Some(self.failed(&error)),
                Next::Reply(reply) => self.reply(reply).await,
                Next::Cancelled => Some(self.over(Outcome::Cancelled, "cancelled")),
                Next::Revoked => Some(self.over(Outcome::Revoked, REVOKED)),
                Next::Late => Some(self.failed(&Error::TimedOut(self.limit))),
            };
            if let Some(step) = step {
                return step;
            }
        }
    }

    fn said(&mut self, said: Said) -> Option<Step> {
        match said.kind {
            Kind::Progress => {
                let token = self.client.ear.token.as_deref().filter(|_| self.client.ear.stream)?;
                self.clean(said.with_token(token)).map(Step::Event)
            }
            Kind::Log => {
                let least = self.client.ear.level.filter(|_| self.client.ear.stream)?;
                let fits = level(said.params()).is_none_or(|level| level >= least);
                self.clean(said.as_bytes().to_vec()).filter(|_| fits).map(Step::Event)
            }
            Kind::Sampling | Kind::Elicitation | Kind::Roots => self.question(said),
            Kind::Withdrawn => {
                let theirs = mcp::Message::parse(said.as_bytes(), mcp::json::Limits::ANSWER).ok()?;
                let ours = self.questions.as_mut()?.withdraw(theirs.request_id()?)?;
                let method = said.kind.method();
                let line =
                    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"{method}\",\"params\":{{\"requestId\":{ours}}}}}");
                Some(Step::Event(line.into_bytes()))
            }
        }
    }

    fn question(&mut self, said: Said) -> Option<Step> {
        let theirs = said.id()?.to_owned();
        if !self.client.ear.abilities.allow(said.kind, said.params()) {
            self.refuse(&theirs, code::METHOD_NOT_FOUND, "not offered by the client of this call");
            return None;
        }
        let Some(questions) = &mut self.questions else { return Some(Step::Ask(said)) };
        let Some(ours) = questions.ask(&theirs) else {
            self.refuse(&theirs, code::INTERNAL, "too many questions wait for the client of this call");
            return None;
        };
        let Some(question) = self.clean(said.under(&ours)) else {
            self.questions.as_mut().map(|questions| questions.withdraw(&theirs));
            self.refuse(&theirs, code::INTERNAL, "the question held a credential and was withheld");
            return None;
        };
        if let (Some(session), Some(visit)) = (&self.client.session, visit(said.params())) {
            session.visit(visit);
        }
        Some(Step::Event(question))
    }

    fn refuse(&self, theirs: &str, code: i64, why: &str) {
        if let Some(call) = &self.call {
            call.reply(theirs, &format!("\"error\":{{\"code\":{code},\"message\":\"{why}\"}}"));
        }
    }

    async fn reply(&mut self, reply: Reply) -> Option<Step> {
        if self.round.is_some() {
            return self.gather(reply).await;
        }
        if let Some(call) = &self.call {
            call.reply(&reply.theirs, &reply.text);
        }
        None
    }

    async fn answer(&mut self, answer: Answer) -> Option<Step> {
        if let Some(required) = answer.input_required().filter(|_| self.client.session.is_some()) {
            return self.require(required).await;
        }
        let deliver = Deliver {
            gateway: &self.gateway,
            snapshot: &self.gateway.registry.snapshot(),
            server: &self.server.name,
            id: &self.client.id,
            stateless: self.client.session.is_none(),
            cached: self.client.cached,
        };
        let (status, body, flags) = deliver.answer(&answer, || self.bound);
        self.entry.flag(flags);
        self.entry.note(if answer.error().is_some() { Outcome::Failed } else { Outcome::Answered });
        Some(Step::Last(status, body))
    }

    pub(super) fn failed(&mut self, error: &Error) -> Step {
        let expired = self.limit < self.gateway.settings.call_timeout;
        let (outcome, what) = failure(error, expired);
        tracing::debug!(server = %self.server.name, %error, "a call failed");
        self.over(outcome, what)
    }

    pub(super) fn over(&mut self, outcome: Outcome, what: &str) -> Step {
        self.entry.note(outcome);
        Step::Last(StatusCode::OK, reply::error(Some(&self.client.id), code::INTERNAL, what, None))
    }

    /// Without any credential; none when nothing of use is left.
    pub(super) fn clean(&self, text: Vec<u8>) -> Option<Vec<u8>> {
        let whole = |text: &[u8]| mcp::Message::parse(text, mcp::json::Limits::ANSWER).is_ok();
        self.gateway.registry.snapshot().scrubber.json(text, whole)
    }
}

async fn next(call: &mut Option<Call>) -> Result<Heard, Error> {
    match call {
        Some(call) => call.next().await,
        None => std::future::pending().await,
    }
}

async fn answered(questions: &mut Option<Questions>) -> Reply {
    match questions {
        Some(questions) => questions.reply().await,
        None => std::future::pending().await,
    }
}

pub(super) async fn cancelled(client: &Client) {
    match &client.under_way {
        Some(call) => call.cancelled.notified().await,
        None => std::future::pending().await,
    }
}

/// The level of a log message. What has none that is known passes.
pub(super) fn level(params: &str) -> Option<Level> {
    #[derive(Deserialize)]
    struct Params {
        level: String,
    }
    Level::parse(&serde_json::from_str::<Params>(params).ok()?.level)
}

/// The id under which the server will say that the user was on a page.
fn visit(params: &str) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Params {
        elicitation_id: String,
    }
    Some(serde_json::from_str::<Params>(params).ok()?.elicitation_id)
}

/// One message as an event.
pub(super) fn event(message: Vec<u8>) -> Result<Event, Infallible> {
    // A carriage return can only stand between tokens; it would end the event's field early.
    let text = String::from_utf8_lossy(&message).replace('\r', " ");
    Ok(Event::default().data(text))
}
