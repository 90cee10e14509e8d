//! The door to `genai`: its types stay in this file.

use super::{Call, Config, Error, Language, Message, Reply, Request, ToolDefinition, Usage, Wire};
use async_trait::async_trait;
use futures::StreamExt;
use genai::{
    Client, ModelIden, ServiceTarget,
    adapter::AdapterKind,
    chat::{
        ChatMessage, ChatOptions, ChatRequest, ChatStreamEvent, ContentPart, MessageContent, StopReason, StreamEnd,
        Tool, ToolCall, ToolResponse,
    },
    resolver::{AuthData, Endpoint},
};
use serde_json::Value;
use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

/// Longest text of one answer that is kept, in bytes.
const TEXT_MAX: usize = 256 * 1024;
const CALLS_MAX: usize = 64;

/// A model behind HTTP.
pub struct Remote {
    client: Client,
    config: Config,
    /// The other wire format turned out to be the right one.
    switched: AtomicBool,
}

impl Remote {
    pub fn new(config: Config) -> Self {
        let http = reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(10))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .expect("a client without files or special settings");
        let client = Client::builder().with_reqwest(http).build().expect("it fails only when it makes its own client");
        Self { client, config, switched: AtomicBool::new(false) }
    }

    fn target(&self, wire: Wire) -> ServiceTarget {
        let adapter = match wire {
            Wire::OpenAi => AdapterKind::OpenAI,
            Wire::Anthropic => AdapterKind::Anthropic,
        };
        // An endpoint that wants no key gets a word that is none: the library insists on one.
        let key = if self.config.key.is_empty() { "none".to_owned() } else { self.config.key.to_string() };
        ServiceTarget {
            endpoint: Endpoint::from_owned(self.config.url.as_str()),
            auth: AuthData::from_single(key),
            model: ModelIden::new(adapter, self.config.model.as_str()),
        }
    }

    fn wire(&self) -> Wire {
        match (self.config.wire, self.switched.load(Ordering::Relaxed)) {
            (Wire::OpenAi, false) | (Wire::Anthropic, true) => Wire::OpenAi,
            (Wire::Anthropic, false) | (Wire::OpenAi, true) => Wire::Anthropic,
        }
    }

    async fn stream(&self, request: &Request, delta: &mut (dyn for<'a> FnMut(&'a str) + Send)) -> Result<Reply, Error> {
        let options = ChatOptions::default()
            .with_max_tokens(request.max_tokens)
            .with_capture_usage(true)
            .with_capture_tool_calls(true)
            .with_capture_content(true);
        let target = self.target(self.wire());
        let response = self.client.exec_chat_stream(target, translate(request), Some(&options)).await.map_err(error)?;
        let mut stream = response.stream;
        let mut text = String::new();
        while let Some(event) = stream.next().await {
            match event.map_err(error)? {
                ChatStreamEvent::Chunk(chunk) => {
                    if text.len() + chunk.content.len() > TEXT_MAX {
                        return Err(Error::Malformed);
                    }
                    delta(&chunk.content);
                    text.push_str(&chunk.content);
                }
                ChatStreamEvent::End(end) => return finish(text, end),
                _ => {}
            }
        }
        // The connection closed before the answer was complete.
        Err(Error::Malformed)
    }
}

#[async_trait]
impl Language for Remote {
    fn name(&self) -> &str {
        &self.config.model
    }

    async fn respond(
        &self,
        request: &Request,
        delta: &mut (dyn for<'a> FnMut(&'a str) + Send),
    ) -> Result<Reply, Error> {
        let attempt = async {
            match self.stream(request, delta).await {
                // Nothing is at this wire format's path: nothing was said yet, so the other one may be tried.
                Err(Error::Refused(404 | 405)) if self.config.guessed => {
                    self.switched.fetch_xor(true, Ordering::Relaxed);
                    let reply = self.stream(request, delta).await;
                    if reply.is_err() {
                        self.switched.fetch_xor(true, Ordering::Relaxed);
                    }
                    reply
                }
                reply => reply,
            }
        };
        tokio::time::timeout(request.timeout, attempt).await.unwrap_or(Err(Error::TimedOut))
    }
}

fn finish(text: String, end: StreamEnd) -> Result<Reply, Error> {
    let cut = matches!(end.captured_stop_reason, Some(StopReason::MaxTokens(_)));
    let usage = end.captured_usage.as_ref().map(|usage| Usage {
        input: usage.prompt_tokens.unwrap_or(0).max(0).unsigned_abs().into(),
        output: usage.completion_tokens.unwrap_or(0).max(0).unsigned_abs().into(),
    });
    let calls: Vec<Call> = end
        .captured_into_tool_calls()
        .unwrap_or_default()
        .into_iter()
        .map(|call| Call { id: call.call_id, name: call.fn_name, arguments: arguments(call.fn_arguments) })
        .collect();
    if calls.len() > CALLS_MAX || calls.iter().any(|call| call.name.is_empty()) {
        return Err(Error::Malformed);
    }
    Ok(Reply { text, calls, usage: usage.unwrap_or_default(), cut })
}

/// Some endpoints stream the arguments as text; no text at all means no arguments.
fn arguments(value: Value) -> Value {
    match value {
        Value::String(text) if text.trim().is_empty() => Value::Object(serde_json::Map::new()),
        Value::String(text) => serde_json::from_str(&text).unwrap_or(Value::String(text)),
        Value::Null => Value::Object(serde_json::Map::new()),
        value => value,
    }
}

fn translate(request: &Request) -> ChatRequest {
    let messages = request.messages.iter().map(message).collect();
    let mut chat = ChatRequest::new(messages).with_system(request.system.as_str());
    if !request.tools.is_empty() {
        chat = chat.with_tools(request.tools.iter().map(tool).collect::<Vec<_>>());
    }
    chat
}

fn message(message: &Message) -> ChatMessage {
    match message {
        Message::User(text) => ChatMessage::user(text.as_str()),
        Message::Assistant { text, calls } => {
            let mut parts = Vec::new();
            if !text.is_empty() {
                parts.push(ContentPart::Text(text.clone()));
            }
            parts.extend(calls.iter().map(|call| {
                ContentPart::ToolCall(ToolCall {
                    call_id: call.id.clone(),
                    fn_name: call.name.clone(),
                    fn_arguments: call.arguments.clone(),
                    thought_signatures: None,
                })
            }));
            ChatMessage::assistant(MessageContent::from_parts(parts))
        }
        Message::Result { call_id, name, content } => {
            ToolResponse::new(call_id.as_str(), content.as_str()).with_fn_name(name.as_str()).into()
        }
    }
}

fn tool(definition: &ToolDefinition) -> Tool {
    Tool::new(definition.name.as_str())
        .with_description(definition.description.as_str())
        .with_schema(definition.schema.clone())
}

/// The library's errors carry requests and answers; only the kind leaves this file.
fn error(error: genai::Error) -> Error {
    use genai::{Error as E, webc::Error as Web};
    match error {
        E::WebAdapterCall { webc_error, .. } | E::WebModelCall { webc_error, .. } => {
            match (webc_error.status(), webc_error) {
                (Some(status), _) => Error::Refused(status.as_u16()),
                (None, Web::Reqwest(error)) if error.is_timeout() => Error::TimedOut,
                (None, Web::Reqwest(_)) => Error::Unreachable,
                (None, _) => Error::Malformed,
            }
        }
        E::HttpError { status, .. } => Error::Refused(status.as_u16()),
        // A refusal of a stream is wrapped once more.
        E::WebStream { error, .. } => match error.downcast_ref::<E>().and_then(E::status) {
            Some(status) => Error::Refused(status.as_u16()),
            None => Error::Unreachable,
        },
        _ => Error::Malformed,
    }
}
