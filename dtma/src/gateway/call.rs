//! `tools/call`, and the other requests that go on to a server.

use super::{
    Caller, body,
    denial::{Denial, json},
    era, now, own, params,
    record::{Access, Outcome},
    registry::{Server, Snapshot},
};
use axum::{http::StatusCode, response::Response};
use capability::Refusal;
use mcp::{Answer, Error, Message, code, json::Limits, message::Rewrite, reply};
use ring::digest::{SHA256, digest};
use serde::Deserialize;
use serde_json::Value;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

pub(super) const WITHHELD: &str = "the answer held a credential and was withheld";

/// What is being called, for the record.
struct Target<'c> {
    server: Arc<str>,
    tool: Arc<str>,
    arguments: &'c str,
    at: i64,
    started: Instant,
}

pub(super) async fn call(caller: &Caller<'_>, message: &Message<'_>) -> Result<Response, Denial> {
    let id = message.id().map(|id| id.as_json());
    let wrong = |what: String| Denial::rpc(id, code::INVALID_PARAMS, what);
    let name = message.params.as_ref().and_then(|params| params.name.as_deref());
    let name = name.ok_or_else(|| wrong("params.name is missing".into()))?;
    if message.arguments().is_some_and(|arguments| !arguments.starts_with('{')) {
        return Err(wrong("params.arguments is not an object".into()));
    }
    match (name, &caller.server) {
        (own::NEED_MORE, _) => caller.result(id, own::need(caller.gateway, &caller.checked, message).map_err(wrong)?),
        (own::FIND, None) => caller.result(id, own::find(caller.gateway, &caller.checked, message).map_err(wrong)?),
        (own::CALL, None) => {
            let inner = own::unwrap_call(message).map_err(wrong)?;
            let inner = Message::parse(&inner, Limits::REQUEST).map_err(|refused| wrong(refused.to_string()))?;
            tool(caller, &inner, false).await
        }
        _ => tool(caller, message, caller.stateless).await,
    }
}

/// Authorises a call of a server's tool, on the bytes that are sent on, and sends it on. With `mirrored`, the headers are
/// those of this very call.
async fn tool(caller: &Caller<'_>, message: &Message<'_>, mirrored: bool) -> Result<Response, Denial> {
    let id = message.id().map(|id| id.as_json());
    let name = message.params.as_ref().and_then(|params| params.name.as_deref()).unwrap_or_default();
    let snapshot = caller.gateway.registry.snapshot();
    // A server's name has no underscore, so the first two separate.
    let (server, tool) = match &caller.server {
        Some(server) => (&*server.name, name),
        None => name.split_once("__").unwrap_or((name, "")),
    };
    let arguments = message.arguments().unwrap_or("{}");
    let (at, started) = (now_millis(), Instant::now());
    let found = snapshot.servers.get(server).and_then(|server| Some((server, server.tool(tool)?)));
    let verdict = match found {
        Some((_, (_, offer))) => allows(caller, server, tool, &offer.digest, arguments),
        None => Err(Refusal::NotGranted),
    };
    let (server, (tool, offer)) = match (verdict, found) {
        (Ok(()), Some(found)) => found,
        (verdict, _) => {
            let target = Target { server: cut(server), tool: cut(tool), arguments, at, started };
            caller.note(&target, Outcome::Refused);
            return Err(refused(id, verdict.err().unwrap_or(Refusal::NotGranted)));
        }
    };
    if mirrored && !params::agree(&offer.marked, caller.headers, arguments) {
        return Err(era::mismatch(id, "an Mcp-Param header does not agree with the body"));
    }
    let target = Target { server: server.name.clone(), tool: tool.clone(), arguments, at, started };
    let rewrite = if caller.server.is_some() { message.rewrite() } else { message.rewrite_named(tool) };
    send(caller, &snapshot, server, message, rewrite, &target).await
}

/// A request of another method to the caller's one server. What a capability lists are tools, so whatever else a server
/// has is open to those only who may call all of its tools in every way.
pub(super) async fn pass(caller: &Caller<'_>, server: &Arc<Server>, message: &Message<'_>) -> Result<Response, Denial> {
    let id = message.id().map(|id| id.as_json());
    let snapshot = caller.gateway.registry.snapshot();
    let target = Target {
        server: server.name.clone(),
        tool: cut(message.method.as_deref().unwrap_or_default()),
        arguments: message.params().unwrap_or("{}"),
        at: now_millis(),
        started: Instant::now(),
    };
    if !caller.may_all(server) {
        caller.note(&target, Outcome::Refused);
        return Err(refused(id, Refusal::NotGranted));
    }
    send(caller, &snapshot, server, message, message.rewrite(), &target).await
}

fn allows(caller: &Caller<'_>, server: &str, tool: &str, digest: &str, arguments: &str) -> Result<(), Refusal> {
    let checked = &caller.checked;
    let mut granted = checked.claims().tools.iter().filter(|granted| granted.args.is_some());
    // A tree is built of the arguments only for a grant that looks at them.
    let value = if granted.any(|granted| granted.server == server && granted.tool == tool) {
        serde_json::from_str(arguments).map_err(|_| Refusal::Arguments)?
    } else {
        Value::Null
    };
    checked.allows(server, tool, digest, &value).map(|_| ())
}

async fn send<'m>(
    caller: &Caller<'_>,
    snapshot: &Snapshot,
    server: &Server,
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
    // Dropped without an outcome, the client has gone away: the connection to the server withdraws the call.
    let mut gone = Gone { caller, target, noted: false };
    let cancelled = async {
        match &under_way {
            Some(call) => call.cancelled.notified().await,
            None => std::future::pending().await,
        }
    };
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
        () = revoked(caller) => {
            gone.note(Outcome::Revoked);
            return Err(Denial::rpc(Some(id), code::INTERNAL, "the capability was revoked during the call"));
        }
    };
    match answer {
        Ok(answer) => {
            gone.note(if answer.error().is_some() { Outcome::Failed } else { Outcome::Answered });
            Ok(deliver(caller, snapshot, id, &answer))
        }
        Err(error) => {
            let (outcome, what) = match &error {
                Error::TimedOut(_) if limit == left => (Outcome::Expired, "the capability ended during the call"),
                Error::TimedOut(_) => (Outcome::TimedOut, "the server did not answer in time"),
                Error::Closed => (Outcome::Unavailable, "the server is not running"),
                Error::TooLarge { .. } => (Outcome::Unavailable, "the request is larger than the server is given"),
                _ => (Outcome::Unavailable, "the server's answer could not be used"),
            };
            tracing::debug!(server = %server.name, %error, "a call failed");
            gone.note(outcome);
            Err(Denial::rpc(Some(id), code::INTERNAL, what))
        }
    }
}

/// Resolves when the caller's capability is no good any more, by what the control plane said during the call.
async fn revoked(caller: &Caller<'_>) {
    let mut heard = caller.gateway.heard.clone();
    // An end of the channel is the end of the daemon, which is no revocation.
    while heard.changed().await.is_ok() {
        if caller.gateway.verifier.recheck(&caller.checked, now()).is_err() {
            return;
        }
    }
    std::future::pending().await
}

fn deliver(caller: &Caller<'_>, snapshot: &Snapshot, id: &str, answer: &Answer) -> Response {
    let whole = |text: &[u8]| Message::parse(text, Limits::ANSWER).is_ok();
    let out = snapshot.scrubber.json(answer.under(id, caller.stateless), whole);
    let out = out.unwrap_or_else(|| reply::error(Some(id), code::INTERNAL, WITHHELD, None));
    let status = if caller.stateless { answer.error().map_or(StatusCode::OK, status) } else { StatusCode::OK };
    json(status, out)
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

fn refused(id: Option<&str>, refusal: Refusal) -> Denial {
    if refusal.is_of_token() {
        return body::expired();
    }
    let what = match refusal {
        Refusal::NotGranted => "this is not allowed, or does not exist; need_more_tools asks for it".into(),
        refusal => refusal.to_string(),
    };
    Denial::rpc(id, code::INVALID_PARAMS, what)
}

/// Notes a call even when its future is dropped.
struct Gone<'c> {
    caller: &'c Caller<'c>,
    target: &'c Target<'c>,
    noted: bool,
}

impl Gone<'_> {
    fn note(&mut self, outcome: Outcome) {
        self.noted = true;
        self.caller.note(self.target, outcome);
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
    fn note(&self, target: &Target<'_>, outcome: Outcome) {
        let micros = u64::try_from(target.started.elapsed().as_micros()).unwrap_or(u64::MAX);
        self.gateway.metrics.call(outcome, micros);
        let mut arguments = [0; 32];
        arguments.copy_from_slice(digest(&SHA256, target.arguments.as_bytes()).as_ref());
        self.gateway.records.push(Access {
            at: target.at,
            agent: self.checked.agent(),
            run: self.checked.run(),
            server: target.server.clone(),
            tool: target.tool.clone(),
            arguments,
            outcome,
            micros,
        });
    }

    /// Every tool of the server, whatever the arguments.
    pub(super) fn may_all(&self, server: &Server) -> bool {
        let narrowed =
            self.checked.claims().tools.iter().any(|granted| granted.server == *server.name && granted.args.is_some());
        !narrowed && server.tools().all(|(name, offer)| self.checked.shows(&server.name, name, &offer.digest))
    }
}

/// A caller's name for something, short enough to keep.
fn cut(name: &str) -> Arc<str> {
    let end = (0..=name.len().min(128)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name[..end].into()
}

fn now_millis() -> i64 {
    now().saturating_mul(1000)
}
