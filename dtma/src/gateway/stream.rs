//! Streams of what a server says without being asked: `GET` of the session revisions, `subscriptions/listen` of the stateless
//! one. A stream ends with its capability, its revocation or its session.
//!
//! Changes of the list of tools are told to everybody, of every server. What else one server says is told at its own address
//! to those who may call all of its tools in every way, and of that only what they wished for.

use super::{Caller, Gateway, denial::Denial, dispatch, door, ear, news::News, now, send::revoked};
use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use mcp::Message;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

/// Resources that one stream may be about.
const WATCHED: usize = 64;

/// `GET`: the session's stream; `DELETE`: its end.
pub(super) fn other(gateway: &Gateway, server: Option<&str>, request: &Request) -> Response {
    answer(gateway, server, request).unwrap_or_else(IntoResponse::into_response)
}

fn answer(gateway: &Gateway, server: Option<&str>, request: &Request) -> Result<Response, Denial> {
    let headers = request.headers();
    door::place(gateway, headers)?;
    let (checked, server) = dispatch::enter(gateway, server, headers, None)?;
    let modern = headers.get("mcp-protocol-version").is_some_and(|v| v == "2026-07-28");
    if modern || !matches!(*request.method(), Method::GET | Method::DELETE) {
        return Err(Denial::http(StatusCode::METHOD_NOT_ALLOWED, "only POST is taken here", "Send a POST."));
    }
    let mut caller = Caller {
        gateway,
        headers,
        checked,
        server,
        stateless: false,
        session: None,
        now: gateway.verifier.time(now()),
    };
    let session = dispatch::session(&caller, headers)?;
    if request.method() == Method::DELETE {
        gateway.sessions.close(&session);
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if headers.contains_key("accept") && !ear::streams(headers) {
        return Err(Denial::http(
            StatusCode::NOT_ACCEPTABLE,
            "this is a stream of events",
            "Send Accept: text/event-stream.",
        ));
    }
    let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
    caller.session = Some(session.clone());
    let news = News::of_session(&caller, &session);
    events(&caller, None, Some(changed.to_string()), news)
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Wanted {
    tools_list_changed: bool,
    prompts_list_changed: bool,
    resources_list_changed: bool,
    resource_subscriptions: Vec<String>,
}

/// `subscriptions/listen`.
pub(super) async fn listen(caller: &Caller<'_>, id: &str, message: &Message<'_>) -> Result<Response, Denial> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Params {
        notifications: Wanted,
    }
    let params: Params = serde_json::from_str(message.params().unwrap_or("{}")).unwrap_or_default();
    let Wanted { tools_list_changed: tools, prompts_list_changed, resources_list_changed, resource_subscriptions } =
        params.notifications;
    if resource_subscriptions.len() > WATCHED {
        let what = "too many resources are subscribed to in one stream";
        return Err(Denial::rpc(Some(id), mcp::code::INVALID_PARAMS, what));
    }
    let mut honoured = Map::new();
    if tools {
        honoured.insert("toolsListChanged".into(), true.into());
    }
    let kinds = [("prompts", prompts_list_changed), ("resources", resources_list_changed)];
    let news = News::of_stream(caller, id, kinds, resource_subscriptions, &mut honoured).await;
    let meta = format!("\"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}}");
    let honoured = Value::from(honoured);
    let first = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\
         \"params\":{{{meta},\"notifications\":{honoured}}}}}"
    );
    let changed =
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\",\"params\":{{{meta}}}}}");
    events(caller, Some(first), tools.then_some(changed), news)
}

fn events(
    caller: &Caller<'_>,
    first: Option<String>,
    changed: Option<String>,
    news: Option<News>,
) -> Result<Response, Denial> {
    let permit = caller.gateway.streams.clone().try_acquire_owned().map_err(|_| {
        Denial::http(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open", "Close some, or poll.")
    })?;
    let left = u64::try_from(caller.checked.expires_at() - caller.now).unwrap_or(0);
    let changes = caller.gateway.registry.changes();
    // What changed while a session had no stream is told at once.
    let missed = caller.session.as_ref().is_some_and(|session| session.tell(*changes.borrow()));
    let first = first.or_else(|| changed.clone().filter(|_| missed));
    let state = State {
        gateway: caller.gateway.clone(),
        checked: caller.checked.clone(),
        session: caller.session.clone(),
        first,
        changed: changed.map(Into::into),
        changes,
        news,
        heard: caller.gateway.heard.clone(),
        until: Instant::now() + Duration::from_secs(left),
        _permit: permit,
    };
    let mut response = Sse::new(state.events()).keep_alive(KeepAlive::default()).into_response();
    // A proxy in between must not gather events.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct State {
    gateway: Gateway,
    checked: Arc<capability::Checked>,
    session: Option<Arc<super::sessions::Session>>,
    first: Option<String>,
    changed: Option<Arc<str>>,
    changes: watch::Receiver<u64>,
    /// Of one server.
    news: Option<News>,
    heard: watch::Receiver<()>,
    until: Instant,
    _permit: OwnedSemaphorePermit,
}

impl State {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> {
        stream::unfold(self, |mut state| async move {
            if let Some(first) = state.first.take() {
                return Some((Ok(Event::default().data(first)), state));
            }
            loop {
                tokio::select! {
                    // Cancel-safe: a change that is not seen is seen at the next look.
                    changed = state.changes.changed() => {
                        changed.ok()?;
                        if let Some(news) = &mut state.news {
                            news.follow(&state.gateway).await;
                        }
                        if let Some(session) = &state.session {
                            session.tell(*state.changes.borrow_and_update());
                        }
                        if let Some(changed) = &state.changed {
                            return Some((Ok(Event::default().data(&**changed)), state));
                        }
                    }
                    // Cancel-safe: a broadcast receiver keeps what is not taken.
                    message = next(&mut state.news) => {
                        let allowed = state.news.as_ref().is_some_and(|news| news.allowed(&state.gateway, &state.checked));
                        if let Some(message) = message.filter(|_| allowed) {
                            return Some((super::exchange::event(message), state));
                        }
                    }
                    // Cancel-safe: these only wait and look.
                    () = sleep_until(state.until) => return None,
                    () = revoked(&state.gateway, &state.checked, &mut state.heard) => return None,
                    () = ended(state.session.as_deref()) => return None,
                }
            }
        })
    }
}

async fn next(news: &mut Option<News>) -> Option<Vec<u8>> {
    match news {
        Some(news) => news.next().await,
        None => std::future::pending().await,
    }
}

async fn ended(session: Option<&super::sessions::Session>) {
    match session {
        Some(session) => session.ended().await,
        None => std::future::pending().await,
    }
}
