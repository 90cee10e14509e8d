//! Which clients hear what a server says before it answers. The others' calls take the short way.

use super::{Caller, ability::Abilities, registry::Server};
use axum::http::{HeaderMap, header};
use mcp::{Level, Message, message::ClientSaid, message::Rewrite};

/// What of it reaches the client; nothing, unless it is said.
#[derive(Default)]
pub(super) struct Ear {
    /// The client takes a stream of events. Otherwise it can only be asked through a result.
    pub(super) stream: bool,
    /// The progress token that the client chose, JSON text.
    pub(super) token: Option<String>,
    /// The least level of logging; none for no logging.
    pub(super) level: Option<Level>,
    pub(super) abilities: Abilities,
}

/// None when nothing can reach it, as for most calls.
pub(super) fn of(caller: &Caller<'_>, server: &Server, message: &Message<'_>) -> Option<Ear> {
    let token = message.progress_token();
    let older = !server.connection.peer().version.is_stateless();
    match &caller.session {
        Some(session) => {
            let said = token.is_some() || session.abilities.any() || (older && server.logs);
            let ear = || Ear {
                stream: true,
                token: token.map(str::to_owned),
                // Without a wish, the server decides.
                level: Some(session.level().unwrap_or(Level::Debug)),
                abilities: session.abilities.clone(),
            };
            (said && streams(caller.headers)).then(ear)
        }
        None => {
            let capabilities = message.client_capabilities().filter(|text| older && *text != "{}");
            let abilities = capabilities.map(Abilities::read).unwrap_or_default();
            let level = message.log_level().and_then(Level::parse);
            let stream = (token.is_some() || level.is_some()) && streams(caller.headers);
            if !stream && !abilities.any() {
                return None;
            }
            if let Some(level) = level.filter(|_| server.logs) {
                server.connection.log_from(level);
            }
            Some(Ear { stream, token: token.map(str::to_owned), level, abilities })
        }
    }
}

/// Tells a stateless server what a client of sessions said when it opened its session.
pub(super) fn introduce<'m>(caller: &'m Caller<'_>, rewrite: Rewrite<'m>) -> Rewrite<'m> {
    match &caller.session {
        Some(session) => rewrite.of_client(ClientSaid {
            capabilities: session.abilities.text(),
            log_level: session.level().map(Level::as_str),
        }),
        None => rewrite,
    }
}

/// Whether the client takes a stream of events as the answer.
pub(super) fn streams(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(header::ACCEPT).iter().filter_map(|accept| accept.to_str().ok());
    accepted.any(|accept| accept.contains("text/event-stream") || accept.contains("*/*"))
}
