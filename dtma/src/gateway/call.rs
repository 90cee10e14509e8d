//! `tools/call`, and the other requests that go on to a server: authorised here.

use super::{
    Caller, body,
    denial::Denial,
    era, own, params,
    record::{Outcome, TraceId},
    registry::Server,
    send::{Target, send},
};
use axum::response::Response;
use capability::{Checked, Refusal};
use mcp::{Message, code, json::Limits};
use serde_json::Value;
use std::{sync::Arc, time::Instant};

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
            Box::pin(tool(caller, &inner, false)).await
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
    let (at, started, trace) = (millis(caller), Instant::now(), message.trace().and_then(TraceId::read));
    let found = snapshot.servers.get(server).and_then(|server| Some((server, server.tool(tool)?)));
    let verdict = match found {
        Some((_, (_, offer))) => allows(caller, server, tool, &offer.digest, arguments),
        None => Err(Refusal::NotGranted),
    };
    let (server, (tool, offer)) = match (verdict, found) {
        (Ok(()), Some(found)) => found,
        (verdict, _) => {
            let target = Target { server: cut(server), tool: cut(tool), arguments, at, started, trace };
            caller.note(&target, Outcome::Refused);
            return Err(refused(id, verdict.err().unwrap_or(Refusal::NotGranted)));
        }
    };
    if mirrored && !params::agree(&offer.marked, caller.headers, arguments) {
        return Err(era::mismatch(id, "an Mcp-Param header does not agree with the body"));
    }
    let target = Target { server: server.name.clone(), tool: tool.clone(), arguments, at, started, trace };
    let rewrite = if caller.server.is_some() { message.rewrite() } else { message.rewrite_named(tool) };
    send(caller, &snapshot, server, message, rewrite, &target).await
}

/// A request of another method to the caller's one server. What a capability lists are tools, so whatever else a server
/// has is open to those only who may call all of its tools in every way.
pub(super) async fn pass(caller: &Caller<'_>, server: &Arc<Server>, message: &Message<'_>) -> Result<Response, Denial> {
    let id = message.id().map(|id| id.as_json());
    let target = Target {
        server: server.name.clone(),
        tool: cut(message.method.as_deref().unwrap_or_default()),
        arguments: message.params().unwrap_or("{}"),
        at: millis(caller),
        started: Instant::now(),
        trace: message.trace().and_then(TraceId::read),
    };
    if !caller.may_all(server) {
        caller.note(&target, Outcome::Refused);
        return Err(refused(id, Refusal::NotGranted));
    }
    let snapshot = caller.gateway.registry.snapshot();
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

pub(super) fn refused(id: Option<&str>, refusal: Refusal) -> Denial {
    if refusal.is_of_token() {
        return body::expired();
    }
    let what = match refusal {
        Refusal::NotGranted => "this is not allowed, or does not exist; need_more_tools asks for it".into(),
        refusal => refusal.to_string(),
    };
    Denial::rpc(id, code::INVALID_PARAMS, what)
}

impl Caller<'_> {
    pub(super) fn may_all(&self, server: &Server) -> bool {
        may_all(&self.checked, server)
    }
}

/// Every tool of the server, whatever the arguments.
pub(super) fn may_all(checked: &Checked, server: &Server) -> bool {
    let narrowed =
        checked.claims().tools.iter().any(|granted| granted.server == *server.name && granted.args.is_some());
    !narrowed && server.tools().all(|(name, offer)| checked.shows(&server.name, name, &offer.digest))
}

/// A caller's name for something, short enough to keep.
pub(super) fn cut(name: &str) -> Arc<str> {
    let end = (0..=name.len().min(128)).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    name[..end].into()
}

fn millis(caller: &Caller<'_>) -> i64 {
    caller.now.saturating_mul(1000)
}
