//! Streams that say when the list of tools has changed: `GET` of the session revisions, `subscriptions/listen` of the
//! stateless one. A stream ends with its capability.

use super::{Caller, Gateway, denial::Denial, dispatch, door, now};
use axum::{
    extract::Request,
    http::{HeaderValue, Method, StatusCode, header},
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
};
use futures::{Stream, stream};
use mcp::Message;
use serde::Deserialize;
use serde_json::json;
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    sync::{OwnedSemaphorePermit, watch},
    time::{Instant, sleep_until},
};

/// `GET`: the session's stream; `DELETE`: its end.
pub(super) fn other(gateway: &Gateway, server: Option<&str>, request: &Request) -> Response {
    let headers = request.headers();
    let answer = || -> Result<Response, Denial> {
        door::place(gateway, headers)?;
        let (checked, server) = dispatch::enter(gateway, server, headers, None)?;
        let modern = headers.get("mcp-protocol-version").is_some_and(|v| v == "2026-07-28");
        if modern || !matches!(*request.method(), Method::GET | Method::DELETE) {
            return Err(Denial::http(StatusCode::METHOD_NOT_ALLOWED, "only POST is taken here", "Send a POST."));
        }
        let caller = Caller { gateway, headers, checked, server, stateless: false, session: None, now: now() };
        let session = dispatch::session(&caller, headers)?;
        if request.method() == Method::DELETE {
            gateway.sessions.close(&session);
            return Ok(StatusCode::NO_CONTENT.into_response());
        }
        let accepted = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or("*/*");
        if !accepted.contains("text/event-stream") && !accepted.contains("*/*") {
            return Err(Denial::http(
                StatusCode::NOT_ACCEPTABLE,
                "this is a stream of events",
                "Send Accept: text/event-stream.",
            ));
        }
        let changed = json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"});
        events(&caller, None, Some(changed.to_string()))
    };
    answer().unwrap_or_else(IntoResponse::into_response)
}

/// `subscriptions/listen`: of what can be asked for, changes of tools are told.
pub(super) fn listen(caller: &Caller<'_>, id: &str, message: &Message<'_>) -> Result<Response, Denial> {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Wanted {
        tools_list_changed: bool,
    }
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Params {
        notifications: Wanted,
    }
    let params: Params = serde_json::from_str(message.params().unwrap_or("{}")).unwrap_or_default();
    let tools = params.notifications.tools_list_changed;
    let meta = format!("\"_meta\":{{\"io.modelcontextprotocol/subscriptionId\":{id}}}");
    let honoured = if tools { json!({"toolsListChanged": true}) } else { json!({}) };
    let first = format!(
        "{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/subscriptions/acknowledged\",\
         \"params\":{{{meta},\"notifications\":{honoured}}}}}"
    );
    let changed =
        format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/tools/list_changed\",\"params\":{{{meta}}}}}");
    events(caller, Some(first), tools.then_some(changed))
}

fn events(caller: &Caller<'_>, first: Option<String>, changed: Option<String>) -> Result<Response, Denial> {
    let permit = caller.gateway.streams.clone().try_acquire_owned().map_err(|_| {
        Denial::http(StatusCode::SERVICE_UNAVAILABLE, "too many streams are open", "Close some, or poll.")
    })?;
    let left = u64::try_from(caller.checked.expires_at() - caller.now).unwrap_or(0);
    let state = State {
        first,
        changed: changed.map(Into::into),
        changes: caller.gateway.registry.changes(),
        until: Instant::now() + Duration::from_secs(left),
        _permit: permit,
    };
    let mut response = Sse::new(state.events()).keep_alive(KeepAlive::default()).into_response();
    // A proxy in between must not gather events.
    response.headers_mut().insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

struct State {
    first: Option<String>,
    changed: Option<Arc<str>>,
    changes: watch::Receiver<u64>,
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
                    changed = state.changes.changed() => changed.ok()?,
                    // Cancel-safe: it only waits.
                    () = sleep_until(state.until) => return None,
                }
                if let Some(changed) = &state.changed {
                    return Some((Ok(Event::default().data(&**changed)), state));
                }
            }
        })
    }
}
