//! From a request to the one thing that answers it.

use super::{
    Caller, Gateway,
    ability::Abilities,
    body, call,
    denial::{Denial, json},
    door::{self, Shown},
    endpoint, era,
    era::Era,
    listing, now,
    registry::Server,
    send::WITHHELD,
    sessions::Session,
    stream, wishes,
};
use axum::{
    body::Body,
    extract::Request,
    http::{HeaderMap, HeaderValue, StatusCode},
    response::{IntoResponse, Response},
};
use capability::Checked;
use mcp::{Message, Version, code, json::Limits, json::Refused, reply};
use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};
use std::sync::Arc;

/// How long a client may keep what it was told, in milliseconds. Short, because grants come and go.
const TTL: u32 = 5_000;
const SESSION: &str = "mcp-session-id";

/// `POST`: one message.
pub(super) async fn post(gateway: &Gateway, request: Request, shown: &Shown) -> Response {
    let (parts, body) = request.into_parts();
    let server = endpoint::server(parts.uri.path()).flatten();
    match answer(gateway, server, &parts.headers, shown, body).await {
        Ok(response) => response,
        Err(denial) => denial.into_response(),
    }
}

async fn answer(
    gateway: &Gateway,
    server: Option<&str>,
    headers: &HeaderMap,
    shown: &Shown,
    body: Body,
) -> Result<Response, Denial> {
    door::place(gateway, headers)?;
    let (checked, server) = enter(gateway, server, headers, Some(shown))?;
    body::is_json(headers)?;
    let body = body::read(gateway, body).await?;
    if body.late {
        gateway.verifier.recheck(&checked, now()).map_err(|_| body::expired())?;
    }
    let now = gateway.verifier.time(now());
    let message = Message::parse(&body.bytes, Limits::REQUEST).map_err(unreadable)?;
    let id = message.id().map(|id| id.as_json());
    let Some(method) = message.method.as_deref() else {
        let caller = Caller { gateway, headers, checked, server, stateless: false, session: None, now };
        return replied(&caller, &message);
    };
    let stateless = era::of(headers, &message)? == Era::Stateless;
    let mut caller = Caller { gateway, headers, checked, server, stateless, session: None, now };
    if !stateless {
        if method == "initialize" {
            return initialize(&caller, &message);
        }
        caller.session = Some(session(&caller, headers)?);
    }
    let Some(id) = id else {
        notified(&caller, &message);
        return Ok(StatusCode::ACCEPTED.into_response());
    };
    match method {
        "tools/call" => call::call(&caller, &message).await,
        "tools/list" => caller.result(Some(id), tools(&caller)),
        "ping" if !stateless => caller.result(Some(id), "{}".into()),
        "server/discover" if stateless => caller.result(Some(id), discover(&caller)),
        // What is rare is boxed, so that a call does not carry its room along.
        "subscriptions/listen" if stateless => Box::pin(stream::listen(&caller, id, &message)).await,
        "resources/list"
        | "resources/templates/list"
        | "resources/read"
        | "prompts/list"
        | "prompts/get"
        | "completion/complete" => match caller.server.clone() {
            Some(server) => Box::pin(call::pass(&caller, &server, &message)).await,
            None => Err(unknown(&caller, id)),
        },
        "logging/setLevel" | "resources/subscribe" | "resources/unsubscribe" if !stateless => {
            let server = caller.server.as_ref().ok_or_else(|| unknown(&caller, id))?;
            if method == "logging/setLevel" {
                wishes::set_level(&caller, server, &message)?;
            } else {
                Box::pin(wishes::subscribe(&caller, server, &message)).await?;
            }
            caller.result(Some(id), "{}".into())
        }
        _ => Err(unknown(&caller, id)),
    }
}

/// A client of sessions answers what it was asked.
fn replied(caller: &Caller<'_>, message: &Message<'_>) -> Result<Response, Denial> {
    let text = match (message.result(), message.error()) {
        (Some(result), _) => format!("\"result\":{result}"),
        (None, error) => format!("\"error\":{}", error.unwrap_or("null")),
    };
    if let Some(id) = message.id().filter(|_| caller.headers.contains_key(SESSION)) {
        session(caller, caller.headers)?.answer(id.as_json(), text);
    }
    Ok(StatusCode::ACCEPTED.into_response())
}

/// Who calls, and the one server that the address names. One that does not exist and one that the caller has no grant
/// for are the same to him.
pub(super) fn enter(
    gateway: &Gateway,
    server: Option<&str>,
    headers: &HeaderMap,
    shown: Option<&Shown>,
) -> Result<(Arc<Checked>, Option<Arc<Server>>), Denial> {
    let checked = door::caller(gateway, headers, shown)?;
    let server = match server {
        None => None,
        Some(name) => {
            let known = checked.knows_server(name).then(|| gateway.registry.get(name)).flatten();
            Some(known.ok_or_else(|| {
                Denial::http(
                    StatusCode::NOT_FOUND,
                    "no such server",
                    "Use /mcp, or a server that a tool was granted of.",
                )
            })?)
        }
    };
    Ok((checked, server))
}

/// The session that the request names.
pub(super) fn session(caller: &Caller<'_>, headers: &HeaderMap) -> Result<Arc<Session>, Denial> {
    let mut all = headers.get_all(SESSION).iter();
    let id = all.next().and_then(|id| id.to_str().ok()).filter(|_| all.next().is_none()).ok_or_else(|| {
        Denial::http(StatusCode::BAD_REQUEST, "a session is needed", "Send initialize first, then Mcp-Session-Id.")
    })?;
    let scope = caller.server.as_ref().map(|server| &*server.name);
    caller
        .gateway
        .sessions
        .find(id, caller.checked.agent(), scope, caller.now)
        .ok_or_else(|| Denial::http(StatusCode::NOT_FOUND, "no such session", "Send initialize again."))
}

fn initialize(caller: &Caller<'_>, message: &Message<'_>) -> Result<Response, Denial> {
    let id = message.id().map(|id| id.as_json());
    let wanted = message.params.as_ref().and_then(|params| params.protocol_version.as_deref());
    let wanted = wanted.ok_or_else(|| Denial::rpc(id, code::INVALID_PARAMS, "params.protocolVersion is missing"))?;
    let version = Version::parse(wanted).filter(|v| !v.is_stateless()).unwrap_or(Version::LAST_WITH_SESSIONS);
    let scope = caller.server.as_ref().map(|server| &*server.name);
    let abilities = abilities(message);
    let sessions = &caller.gateway.sessions;
    let session = sessions.open(caller.checked.agent(), scope, version, abilities, caller.now).ok_or_else(|| {
        Denial::http(StatusCode::SERVICE_UNAVAILABLE, "too many sessions are open", "Close some with DELETE.")
    })?;
    session.tell(caller.gateway.registry.change_now());
    let mut result = about(caller);
    result["protocolVersion"] = session.version.as_str().into();
    let mut response = caller.result(id, result.to_string())?;
    let value = HeaderValue::from_str(&session.id).expect("a session's id is made of hexadecimal digits");
    response.headers_mut().insert(SESSION, value);
    Ok(response)
}

/// What the client says that it can be asked for.
fn abilities(message: &Message<'_>) -> Abilities {
    #[derive(Deserialize)]
    struct Params<'a> {
        #[serde(borrow)]
        capabilities: Option<&'a RawValue>,
    }
    let params = serde_json::from_str::<Params<'_>>(message.params().unwrap_or("{}")).ok();
    params.and_then(|params| params.capabilities).map(|said| Abilities::read(said.get())).unwrap_or_default()
}

fn discover(caller: &Caller<'_>) -> String {
    let mut result = about(caller);
    let info = result["serverInfo"].take();
    result["_meta"] = json!({"io.modelcontextprotocol/serverInfo": info});
    if let Some(result) = result.as_object_mut() {
        result.remove("serverInfo");
    }
    result["supportedVersions"] = era::supported().into();
    result["ttlMs"] = TTL.into();
    result["cacheScope"] = "private".into();
    result.to_string()
}

/// Who we are and what can be asked: with one server, also what that server has besides tools.
fn about(caller: &Caller<'_>) -> Value {
    let mut capabilities = json!({"tools": {"listChanged": true}});
    let mut about = json!({"serverInfo": {"name": "agentopia", "version": env!("CARGO_PKG_VERSION")}});
    if let Some(server) = &caller.server {
        let peer = server.connection.peer();
        if caller.may_all(server) {
            for name in ["resources", "prompts", "completions", "logging"] {
                if let Some(capability) = peer.capabilities.get(name).filter(|capability| capability.is_object()) {
                    capabilities[name] = capability.clone();
                }
            }
        }
        if let Some(instructions) = &peer.instructions {
            about["instructions"] = caller.gateway.registry.scrub(instructions).into();
        }
    }
    about["capabilities"] = capabilities;
    about
}

fn tools(caller: &Caller<'_>) -> String {
    // Before the look: what changes during it is told once too often rather than never.
    if let Some(session) = &caller.session {
        session.tell(caller.gateway.registry.change_now());
    }
    let tools = match &caller.server {
        Some(server) => listing::one(server, &caller.checked),
        None => listing::all(&caller.gateway.registry.snapshot(), &caller.checked),
    };
    if caller.stateless {
        format!("{{\"tools\":[{tools}],\"ttlMs\":{TTL},\"cacheScope\":\"private\"}}")
    } else {
        format!("{{\"tools\":[{tools}]}}")
    }
}

fn notified(caller: &Caller<'_>, message: &Message<'_>) {
    if message.method.as_deref() != Some("notifications/cancelled") {
        return;
    }
    if let (Some(session), Some(id)) = (&caller.session, message.request_id()) {
        session.cancel(id);
    }
}

fn unknown(caller: &Caller<'_>, id: &str) -> Denial {
    let status = if caller.stateless { StatusCode::NOT_FOUND } else { StatusCode::OK };
    Denial::rpc_with(status, Some(id), code::METHOD_NOT_FOUND, "Method not found")
}

fn unreadable(refused: Refused) -> Denial {
    let code = match refused {
        Refused::Batch | Refused::Envelope(_) => code::INVALID_REQUEST,
        _ => code::PARSE,
    };
    Denial::rpc_with(StatusCode::BAD_REQUEST, None, code, refused.to_string())
}

impl Caller<'_> {
    /// A result of our own making, an object.
    pub(super) fn result(&self, id: Option<&str>, result: String) -> Result<Response, Denial> {
        let result = match result.strip_prefix('{') {
            Some("}") if self.stateless => "{\"resultType\":\"complete\"}".into(),
            Some(rest) if self.stateless => format!("{{\"resultType\":\"complete\",{rest}"),
            _ => result,
        };
        let text = reply::result(id.unwrap_or("null"), &result);
        // Definitions are servers' words, too.
        let whole = |text: &[u8]| Message::parse(text, Limits::ANSWER).is_ok();
        let clean = self.gateway.registry.snapshot().scrubber.json(text, whole);
        clean.map(|clean| json(StatusCode::OK, clean)).ok_or_else(|| Denial::rpc(id, code::INTERNAL, WITHHELD))
    }
}
