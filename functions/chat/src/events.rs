//! A turn as AG-UI events: server-sent events whose data is one JSON object with a `type`.

use axum::response::sse::{Event as Sse, KeepAlive};
use protocol::{
    chat::ChatReply,
    ids::{RunId, SessionId},
};
use serde::Serialize;
use serde_json::Value;
use std::{convert::Infallible, time::Duration};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_stream::StreamExt;

#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "SCREAMING_SNAKE_CASE", rename_all_fields = "camelCase")]
pub(crate) enum Event {
    RunStarted { thread_id: SessionId, run_id: RunId },
    StepStarted { step_name: &'static str },
    StepFinished { step_name: &'static str },
    TextMessageStart { message_id: String, role: &'static str },
    TextMessageContent { message_id: String, delta: String },
    TextMessageEnd { message_id: String },
    ToolCallStart { tool_call_id: String, tool_call_name: String },
    ToolCallArgs { tool_call_id: String, delta: String },
    ToolCallEnd { tool_call_id: String },
    ToolCallResult { message_id: String, tool_call_id: String, content: String, role: &'static str },
    StateSnapshot { snapshot: Box<ChatReply> },
    RunFinished { thread_id: SessionId, run_id: RunId },
    RunError { message: String, code: String },
}

/// Where a turn reports what it does. A turn that nobody watches reports to nobody.
#[derive(Clone, Default)]
pub(crate) struct Reporter(Option<UnboundedSender<Event>>);

impl Reporter {
    pub(crate) fn channel() -> (Self, UnboundedReceiver<Event>) {
        let (sender, receiver) = unbounded_channel();
        (Self(Some(sender)), receiver)
    }

    pub(crate) fn send(&self, event: Event) {
        if let Some(sender) = &self.0 {
            // A caller that has gone does not stop the turn.
            let _ = sender.send(event);
        }
    }

    pub(crate) fn failed(&self, error: &edge::Error) {
        self.send(Event::RunError { message: error.detail().to_owned(), code: error.status().as_u16().to_string() });
    }

    /// Runs a part of the turn between its two events.
    pub(crate) async fn step<T>(&self, step_name: &'static str, work: impl Future<Output = T>) -> T {
        self.send(Event::StepStarted { step_name });
        let result = work.await;
        self.send(Event::StepFinished { step_name });
        result
    }

    /// A whole text at once, a line at a time.
    pub(crate) fn text(&self, message_id: &str, text: &str) {
        let message_id = message_id.to_owned();
        self.send(Event::TextMessageStart { message_id: message_id.clone(), role: "assistant" });
        // AG-UI allows no empty delta.
        for line in text.split_inclusive('\n') {
            self.send(Event::TextMessageContent { message_id: message_id.clone(), delta: line.to_owned() });
        }
        self.send(Event::TextMessageEnd { message_id });
    }
}

/// The response that carries them.
pub(crate) fn stream(events: UnboundedReceiver<Event>) -> axum::response::Response {
    let events = tokio_stream::wrappers::UnboundedReceiverStream::new(events);
    let lines = events.map(|event| {
        let data = serde_json::to_string(&event).unwrap_or_else(|_| Value::Null.to_string());
        Ok::<_, Infallible>(Sse::default().data(data))
    });
    let keep_alive = KeepAlive::new().interval(Duration::from_secs(15));
    let mut response =
        axum::response::IntoResponse::into_response(axum::response::Sse::new(lines).keep_alive(keep_alive));
    // A proxy that buffers would hold the events back.
    response.headers_mut().insert("x-accel-buffering", http::HeaderValue::from_static("no"));
    response
}
