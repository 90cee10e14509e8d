//! What a server writes, as server-sent events.
//!
//! Live from the toolbox's gateway: its events are passed on as they come. When the toolbox does not answer, the lines of
//! its last check-in, each as one event, and then an event `end` that says why there is no more.

mod relay;

pub(crate) use relay::Relay;

use crate::State;
use axum::{
    body::Body,
    extract::State as From,
    response::{IntoResponse, Response},
};
use edge::{Error, Path, User};
use http::{HeaderValue, header};
use protocol::{
    ids::{ServerId, ToolboxId},
    toolbox::Server,
};

pub(crate) async fn logs(
    user: User,
    Path((toolbox, id)): Path<(ToolboxId, ServerId)>,
    From(state): From<State>,
) -> Result<Response, Error> {
    let caller = user.caller();
    let server = state.edge.database.server_get(&caller, toolbox, id).await?;
    let gateway = state.edge.database.toolbox_get(&caller, toolbox).await?.gateway;
    let live = match &gateway {
        Some(gateway) => state.relay.open(toolbox, gateway, &server.spec.name, state.edge.clock.seconds()).await,
        None => Err("no machine has enrolled as this toolbox".to_owned()),
    };
    let body = match live {
        Ok(reply) => Body::from_stream(reply.bytes_stream()),
        Err(why) => {
            tracing::debug!(%toolbox, why, "log not fetched live");
            Body::from(tail(&server))
        }
    };
    let mut response = body.into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    Ok(response)
}

/// The last reported lines as events.
fn tail(server: &Server) -> String {
    let lines = server.status.log_tail.iter().chain(&server.status.detail);
    let mut events: String = lines.map(|line| event("message", line)).collect();
    events.push_str(&event("end", "The toolbox does not answer; these are the lines of its last check-in."));
    events
}

/// A line break within a line would start another field.
fn event(kind: &str, line: &str) -> String {
    let mut text = format!("event: {kind}\n");
    for part in line.split(['\n', '\r']) {
        text.push_str(&format!("data: {part}\n"));
    }
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::event;

    #[test]
    fn a_line_cannot_forge_an_event() {
        let forged = event("message", "a\r\n\nevent: end\ndata: b");
        assert_eq!(forged.matches("\n\n").count(), 1);
        assert!(forged.lines().skip(1).all(|line| line.is_empty() || line.starts_with("data: ")));
    }
}
