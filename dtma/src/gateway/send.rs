//! Sends a request on that was authorised, and brings the answer back.

use super::{
    Caller, Gateway,
    denial::{Denial, json},
    ear::{self, Ear},
    entry::{self, Called, Entry},
    exchange::{Client, Exchange, cancelled},
    flags::{Flag, Flags, invisible},
    now, parked,
    questions::Questions,
    record::{Outcome, TraceId},
    registry::{Server, Snapshot},
    rounds,
    seal::{self, Bound},
    sessions::UnderWay,
    unread,
};
use axum::{http::StatusCode, response::Response};
use capability::Checked;
use mcp::{Answer, Error, Message, code, json::Limits, message::Rewrite, reply};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::watch;

/// Bytes of arguments in a record, where they are recorded.
const ARGUMENTS: usize = 4096;

pub(super) const REVOKED: &str = "the capability was revoked during the call";
pub(super) const WITHHELD: &str = "the answer held a credential and was withheld";

/// What is being called, for the record.
pub(super) struct Target<'c> {
    pub(super) server: Arc<str>,
    pub(super) tool: Arc<str>,
    pub(super) arguments: &'c str,
    pub(super) at: i64,
    pub(super) started: Instant,
    pub(super) trace: Option<TraceId>,
}

impl Target<'_> {
    fn called(&self, gateway: &Gateway) -> Called {
        let mut arguments = [0; 32];
        arguments.copy_from_slice(digest(&SHA256, self.arguments.as_bytes()).as_ref());
        let (server, tool) = (self.server.clone(), self.tool.clone());
        let values = gateway.settings.record_arguments.then(|| kept(&gateway.registry.scrub(self.arguments)));
        let (at, started, trace, flags) = (self.at, self.started, self.trace, Flags::default());
        Called { server, tool, arguments, values, at, started, trace, flags }
    }

    fn bound(&self, caller: &Caller<'_>, message: &Message<'_>) -> Bound {
        let arguments = message.arguments().unwrap_or("{}");
        let named = message.target().unwrap_or_default();
        seal::bound(caller.checked.agent(), [&self.server, &self.tool, named], arguments)
    }
}

/// As much of the arguments as a record holds.
fn kept(text: &str) -> Box<str> {
    let end = (0..=text.len().min(ARGUMENTS)).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    text[..end].into()
}

pub(super) async fn send<'m>(
    caller: &Caller<'_>,
    snapshot: &Snapshot,
    server: &Arc<Server>,
    message: &'m Message<'m>,
    rewrite: Rewrite<'m>,
    target: &Target<'_>,
) -> Result<Response, Denial> {
    let id = message.id().map_or("null", |id| id.as_json());
    let under_way =
        match &caller.session {
            None => None,
            Some(session) => Some(session.begin(id).ok_or_else(|| {
                Denial::rpc(Some(id), code::INVALID_REQUEST, "this id is in use by a call under way")
            })?),
        };
    let left = Duration::from_secs(u64::try_from(caller.checked.expires_at() - caller.now).unwrap_or(0));
    let limit = caller.gateway.settings.call_timeout.min(left);
    let rewrite = ear::introduce(caller, rewrite);
    let state = message.state().filter(|_| caller.stateless);
    let ear = ear::of(caller, server, message);
    if ear.is_some() || state.is_some() {
        let ear = ear.unwrap_or_default();
        return Box::pin(listen(caller, server, message, rewrite, target, (ear, under_way, limit))).await;
    }
    // Dropped without an outcome, the client has gone away: the connection to the server withdraws the call.
    let mut gone = Gone { caller, target, noted: false };
    let cancelled = async {
        match &under_way {
            Some(call) => call.cancelled.notified().await,
            None => std::future::pending().await,
        }
    };
    let mut heard = caller.gateway.heard.clone();
    let answer = tokio::select! {
        biased;
        // Not cancel-safe, and need not be: dropped, it withdraws the call.
        answer = server.connection.forward(message, rewrite, limit) => answer,
        // Cancel-safe: a permit that is not taken stays.
        () = cancelled => {
            gone.note(Outcome::Cancelled);
            return Err(Denial::rpc(Some(id), code::INTERNAL, "cancelled"));
        }
        // Cancel-safe: it only looks.
        () = revoked(caller.gateway, &caller.checked, &mut heard) => {
            gone.note(Outcome::Revoked);
            return Err(Denial::rpc(Some(id), code::INTERNAL, REVOKED));
        }
    };
    match answer {
        Ok(answer) => {
            let deliver = Deliver {
                gateway: caller.gateway,
                snapshot,
                server: &server.name,
                id,
                stateless: caller.stateless,
                cached: caller.cached(message),
            };
            let (status, body, flags) = deliver.answer(&answer, || target.bound(caller, message));
            gone.note_flagged(if answer.error().is_some() { Outcome::Failed } else { Outcome::Answered }, flags);
            Ok(unread::respond(caller.gateway, caller.checked.agent(), id, status, body))
        }
        Err(error) => {
            let (outcome, what) = failure(&error, limit == left);
            tracing::debug!(server = %server.name, %error, "a call failed");
            gone.note(outcome);
            Err(Denial::rpc(Some(id), code::INTERNAL, what))
        }
    }
}

/// The longer way, for a client that hears more than the answer, or that comes back with what it was asked for.
async fn listen<'m>(
    caller: &Caller<'_>,
    server: &Arc<Server>,
    message: &'m Message<'m>,
    mut rewrite: Rewrite<'m>,
    target: &Target<'_>,
    (ear, under_way, limit): (Ear, Option<UnderWay>, Duration),
) -> Result<Response, Denial> {
    let id = message.id().map_or("null", |id| id.as_json()).to_owned();
    let (gateway, bound) = (caller.gateway, target.bound(caller, message));
    let name = caller.server.is_none().then_some(&target.tool);
    let stateless = server.connection.peer().version.is_stateless();
    let round = rounds::again(message, &ear, stateless && caller.session.is_some(), name);
    let (session, cached) = (caller.session.clone(), caller.cached(message));
    let client = Client { id: id.clone(), ear, session: session.clone(), under_way, cached };
    if let Some(state) = message.state().filter(|_| caller.stateless) {
        if parked::is(state) {
            return match parked::resume(gateway, state, &bound, message.inputs(), client) {
                Ok(exchange) => Ok(exchange.respond().await),
                Err(answer) => Ok(json(StatusCode::OK, answer)),
            };
        }
        let Some(state) = gateway.seal.open(&bound, caller.now, state) else {
            caller.note(target, Outcome::Refused);
            return Err(Denial::rpc(Some(&id), code::INVALID_PARAMS, "requestState is not good here"));
        };
        rewrite = message.with_state(rewrite, state);
    }
    let mut entry = Entry::new(gateway, &caller.checked, target.called(gateway));
    let until = tokio::time::Instant::now() + limit;
    let asker = client.asker(caller.checked.agent());
    let mut heard = gateway.heard.clone();
    let begun = tokio::select! {
        biased;
        // Not cancel-safe, and need not be: dropped, it was not sent, or is withdrawn.
        begun = server.connection.begin(message, rewrite, limit, asker) => begun.map_err(|error| {
            failure(&error, limit < gateway.settings.call_timeout)
        }),
        // Cancel-safe: a permit that is not taken stays.
        () = cancelled(&client) => Err((Outcome::Cancelled, "cancelled")),
        // Cancel-safe: it only looks.
        () = revoked(gateway, &caller.checked, &mut heard) => Err((Outcome::Revoked, REVOKED)),
    };
    let begun = begun.map_err(|(outcome, what)| {
        entry.note(outcome);
        Denial::rpc(Some(&id), code::INTERNAL, what)
    })?;
    let exchange = Exchange {
        gateway: gateway.clone(),
        checked: caller.checked.clone(),
        server: server.clone(),
        client,
        entry,
        bound,
        limit,
        until,
        call: Some(begun),
        questions: session.as_ref().map(Questions::of),
        round,
        events: VecDeque::new(),
        heard: gateway.heard.clone(),
    };
    Ok(exchange.respond().await)
}

/// What became of a call that has no answer, and what is said of it. `expired`: it may only take as long as the
/// capability is good.
pub(super) fn failure(error: &Error, expired: bool) -> (Outcome, &'static str) {
    match error {
        Error::TimedOut(_) if expired => (Outcome::Expired, "the capability ended during the call"),
        Error::TimedOut(_) => (Outcome::TimedOut, "the server did not answer in time"),
        Error::Closed => (Outcome::Unavailable, "the server is not running"),
        Error::TooLarge { .. } => (Outcome::Unavailable, "the request is larger than the server is given"),
        _ => (Outcome::Unavailable, "the server's answer could not be used"),
    }
}

/// Resolves when a capability is no good any more, by what the control plane said during the call.
pub(super) async fn revoked(gateway: &Gateway, checked: &Checked, heard: &mut watch::Receiver<()>) {
    // An end of the channel is the end of the daemon, which is no revocation.
    while heard.changed().await.is_ok() {
        if gateway.verifier.recheck(checked, now()).is_err() {
            return;
        }
    }
    std::future::pending().await
}

/// Whom an answer goes to.
pub(super) struct Deliver<'d> {
    pub(super) gateway: &'d Gateway,
    pub(super) snapshot: &'d Snapshot,
    pub(super) server: &'d str,
    pub(super) id: &'d str,
    pub(super) stateless: bool,
    /// The result is one that says how long it keeps.
    pub(super) cached: bool,
}

impl Deliver<'_> {
    pub(super) fn answer(&self, answer: &Answer, bound: impl FnOnce() -> Bound) -> (StatusCode, Vec<u8>, Flags) {
        let mut flags = Flags::default();
        let required = answer.input_required().is_some();
        if required && !self.stateless {
            let what = "the server needs input that this client does not give";
            return (StatusCode::OK, reply::error(Some(self.id), code::INTERNAL, what, None), flags);
        }
        let sealed = required.then(|| self.sealed(answer, &bound())).flatten();
        let out = sealed.unwrap_or_else(|| answer.under(self.id, self.stateless, self.cached));
        if invisible(&out) {
            self.flag(&mut flags, Flag::Invisible);
        }
        let scrubber = &self.snapshot.scrubber;
        let out = if scrubber.finds(&out) {
            if scrubber.foreign(&out, self.server) {
                self.flag(&mut flags, Flag::ForeignSecret);
            }
            scrubber.json(out, |text| Message::parse(text, Limits::ANSWER).is_ok())
        } else {
            Some(out)
        };
        let out = out.unwrap_or_else(|| reply::error(Some(self.id), code::INTERNAL, WITHHELD, None));
        let status = if self.stateless { answer.error().map_or(StatusCode::OK, status) } else { StatusCode::OK };
        (status, flags.mark(out), flags)
    }

    fn flag(&self, flags: &mut Flags, flag: Flag) {
        flags.set(flag);
        self.gateway.metrics.flagged(flag);
        tracing::warn!(server = self.server, flag = flag.as_str(), "an answer is not what it seems");
    }
}

/// 2026-07-28 gives some errors a status of their own.
fn status(error: &str) -> StatusCode {
    #[derive(Deserialize)]
    struct Code {
        code: i64,
    }
    match serde_json::from_str(error) {
        Ok(Code { code: code::METHOD_NOT_FOUND }) => StatusCode::NOT_FOUND,
        Ok(Code { code: -32022..=-32020 }) => StatusCode::BAD_REQUEST,
        _ => StatusCode::OK,
    }
}

/// Notes a call even when its future is dropped.
struct Gone<'c> {
    caller: &'c Caller<'c>,
    target: &'c Target<'c>,
    noted: bool,
}

impl Gone<'_> {
    fn note(&mut self, outcome: Outcome) {
        self.note_flagged(outcome, Flags::default());
    }

    fn note_flagged(&mut self, outcome: Outcome, flags: Flags) {
        self.noted = true;
        self.caller.note_flagged(self.target, outcome, flags);
    }
}

impl Drop for Gone<'_> {
    fn drop(&mut self) {
        if !self.noted {
            self.caller.note(self.target, Outcome::Cancelled);
        }
    }
}

impl Caller<'_> {
    pub(super) fn note(&self, target: &Target<'_>, outcome: Outcome) {
        self.note_flagged(target, outcome, Flags::default());
    }

    fn note_flagged(&self, target: &Target<'_>, outcome: Outcome, flags: Flags) {
        let called = Called { flags, ..target.called(self.gateway) };
        entry::note(self.gateway, &self.checked, called, outcome);
    }

    /// Whether the result to it says how long it keeps, for a client that expects that.
    fn cached(&self, message: &Message<'_>) -> bool {
        let method = message.method.as_deref();
        let cached = ["resources/read", "resources/list", "resources/templates/list", "prompts/list"]
            .map(Some)
            .contains(&method);
        self.stateless && cached
    }
}
