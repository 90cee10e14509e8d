//! What a client of sessions wishes to hear of one server from now on.

use super::{
    Caller,
    call::cut,
    denial::Denial,
    record::{Outcome, TraceId},
    registry::Server,
    send::Target,
    sessions::Session,
};
use mcp::{Error, Level, Message, code};
use serde::Deserialize;
use std::{sync::Arc, time::Instant};

/// `logging/setLevel`. The server logs as much as the client that wants most of it hears.
pub(super) fn set_level(caller: &Caller<'_>, server: &Server, message: &Message<'_>) -> Result<(), Denial> {
    #[derive(Deserialize)]
    struct Params {
        level: String,
    }
    let id = message.id().map(|id| id.as_json());
    let session = allowed(caller, server, message)?;
    let params = serde_json::from_str::<Params>(message.params().unwrap_or("{}")).ok();
    let level = params.and_then(|params| Level::parse(&params.level));
    let level = level.ok_or_else(|| Denial::rpc(id, code::INVALID_PARAMS, "params.level is not a level of logging"))?;
    if !server.logs {
        return Err(Denial::rpc(id, code::METHOD_NOT_FOUND, "this server does not log"));
    }
    session.set_level(level);
    server.connection.log_from(level);
    Ok(())
}

/// `resources/subscribe` and `resources/unsubscribe`. The server is subscribed to once for all who wish it.
pub(super) async fn subscribe(caller: &Caller<'_>, server: &Server, message: &Message<'_>) -> Result<(), Denial> {
    let id = message.id().map(|id| id.as_json());
    let session = allowed(caller, server, message)?;
    let uri = message.params.as_ref().and_then(|params| params.uri.as_deref());
    let uri = uri.ok_or_else(|| Denial::rpc(id, code::INVALID_PARAMS, "params.uri is missing"))?;
    if message.method.as_deref() == Some("resources/unsubscribe") {
        session.unwatch(uri);
        return Ok(());
    }
    let watch = server.connection.watch(uri).await.map_err(|error| match error {
        Error::Rpc { code, message } => Denial::rpc(id, code, caller.gateway.registry.scrub(&message)),
        _ => Denial::rpc(id, code::INTERNAL, "the server did not take the subscription"),
    })?;
    if session.watch(uri, watch) {
        return Ok(());
    }
    Err(Denial::rpc(id, code::INVALID_REQUEST, "too many resources are subscribed to in this session"))
}

/// Open to those only who may call all of the server's tools in every way, as whatever is no tool.
fn allowed(caller: &Caller<'_>, server: &Server, message: &Message<'_>) -> Result<Arc<Session>, Denial> {
    let id = message.id().map(|id| id.as_json());
    let target = Target {
        server: server.name.clone(),
        tool: cut(message.method.as_deref().unwrap_or_default()),
        arguments: message.params().unwrap_or("{}"),
        at: super::now().saturating_mul(1000),
        started: Instant::now(),
        trace: message.trace().and_then(TraceId::read),
    };
    let session = caller.session.as_ref().filter(|_| caller.may_all(server));
    caller.note(&target, if session.is_some() { Outcome::Answered } else { Outcome::Refused });
    session.cloned().ok_or_else(|| super::call::refused(id, capability::Refusal::NotGranted))
}
