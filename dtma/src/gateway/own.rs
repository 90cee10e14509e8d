//! The gateway's own tools.

use super::{Gateway, listing, now};
use capability::Checked;
use mcp::Message;
use protocol::ids::{AgentId, RunId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

pub(super) const NEED_MORE: &str = "need_more_tools";
pub(super) const FIND: &str = "find_tool";
pub(super) const CALL: &str = "call_tool";

/// An agent's wish for tools that it was not granted. Written by a model: data, to be shown and never obeyed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ToolRequest {
    pub agent: AgentId,
    pub owner: UserId,
    pub run: Option<RunId>,
    /// Seconds since the epoch.
    pub at: i64,
    pub need: String,
    pub tools: Vec<String>,
    pub reason: String,
}

/// Where wishes go. It must not block.
pub trait Requests: Send + Sync {
    /// False when it could not be kept.
    fn put(&self, request: ToolRequest) -> bool;
}

/// Keeps the newest wishes until somebody takes them.
#[derive(Default)]
pub struct RequestLog(Mutex<VecDeque<ToolRequest>>);

impl RequestLog {
    const KEPT: usize = 200;

    pub fn take(&self) -> Vec<ToolRequest> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..).collect()
    }
}

impl Requests for RequestLog {
    fn put(&self, request: ToolRequest) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let room = kept.len() < Self::KEPT;
        if room {
            kept.push_back(request);
        }
        room
    }
}

/// The definition that is always listed.
pub(super) fn need_more() -> Value {
    json!({
        "name": NEED_MORE,
        "title": "Ask for more tools",
        "description": "Ask the user for tools that are not listed here. Nothing is granted by asking: the user decides.",
        "inputSchema": {
            "type": "object",
            "properties": {
                "need": {"type": "string", "maxLength": 500, "description": "What is to be done that no listed tool does"},
                "tools": {"type": "array", "maxItems": 20, "items": {"type": "string", "maxLength": 200}, "description": "Tools by name, if known"},
                "reason": {"type": "string", "maxLength": 1000, "description": "Why the task needs it"}
            },
            "required": ["need"],
            "additionalProperties": false
        },
        "annotations": {"readOnlyHint": false, "destructiveHint": false, "openWorldHint": false}
    })
}

/// What is listed instead of the tools when there are too many of them.
pub(super) fn search() -> [Value; 2] {
    [
        json!({
            "name": FIND,
            "title": "Find a tool",
            "description": "Search the tools that may be called, by words. Returns their definitions; call one with call_tool.",
            "inputSchema": {
                "type": "object",
                "properties": {
                    "query": {"type": "string", "maxLength": 500},
                    "limit": {"type": "integer", "minimum": 1, "maximum": 20}
                },
                "required": ["query"],
                "additionalProperties": false
            },
            "annotations": {"readOnlyHint": true}
        }),
        json!({
            "name": CALL,
            "title": "Call a tool",
            "description": "Call a tool that find_tool returned.",
            "inputSchema": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "arguments": {"type": "object"}},
                "required": ["name"],
                "additionalProperties": false
            }
        }),
    ]
}

/// Answers `need_more_tools`; the result's JSON text, or what is wrong with the arguments.
pub(super) fn need(gateway: &Gateway, checked: &Checked, message: &Message<'_>) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        need: String,
        #[serde(default)]
        tools: Vec<String>,
        #[serde(default)]
        reason: String,
    }
    let Arguments { need, tools, reason } = arguments(message)?;
    let fits = |text: &str, most| text.chars().count() <= most;
    let within = fits(&need, 500) && fits(&reason, 1000) && tools.len() <= 20 && tools.iter().all(|t| fits(t, 200));
    if need.trim().is_empty() || !within {
        return Err("need is empty, or something is longer than its schema says".into());
    }
    let request = ToolRequest {
        agent: checked.agent(),
        owner: checked.owner(),
        run: checked.run(),
        at: now(),
        need,
        tools,
        reason,
    };
    Ok(if gateway.requests.put(request) {
        text(
            "Noted at this toolbox. Nothing has been granted: the user has to allow the tool at the Agentopia console or \
             command line. Go on without it, or tell the user what is missing.",
            false,
        )
    } else {
        text("Too many requests are waiting for the user; this one was not kept. Tell the user what is missing.", true)
    })
}

/// Answers `find_tool`.
pub(super) fn find(gateway: &Gateway, checked: &Checked, message: &Message<'_>) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Arguments {
        query: String,
        #[serde(default)]
        limit: Option<usize>,
    }
    let Arguments { query, limit } = arguments(message)?;
    let found = listing::search(&gateway.registry.snapshot(), checked, &query, limit.unwrap_or(8).clamp(1, 20));
    let shown = format!("{{\"tools\":[{found}]}}");
    let quoted = Value::from(shown.as_str());
    Ok(format!("{{\"content\":[{{\"type\":\"text\",\"text\":{quoted}}}],\"structuredContent\":{shown}}}"))
}

/// What `call_tool` asks for, as an ordinary `tools/call` of the same id.
pub(super) fn unwrap_call(message: &Message<'_>) -> Result<Vec<u8>, String> {
    // Read by the same strict reader as everything else: the inner name is what will be authorised.
    let (name, inner) =
        mcp::message::named_arguments(message.arguments().unwrap_or("{}")).map_err(|refused| refused.to_string())?;
    let name = Value::from(name.ok_or("name is missing")?);
    let id = message.id().map_or("0", |id| id.as_json());
    let inner = inner.unwrap_or("{}");
    // What it was asked for is the call's, too.
    let state = message.state().map(|state| Value::from(state).to_string());
    let more = [("_meta", message.meta()), ("inputResponses", message.inputs()), ("requestState", state.as_deref())];
    let more: String = more.iter().filter_map(|(key, text)| Some(format!(",\"{key}\":{}", (*text)?))).collect();
    Ok(format!(
        "{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":{name},\"arguments\":{inner}{more}}}}}"
    )
    .into_bytes())
}

fn arguments<'a, T: Deserialize<'a>>(message: &Message<'a>) -> Result<T, String> {
    serde_json::from_str(message.arguments().unwrap_or("{}")).map_err(|error| error.to_string())
}

fn text(text: &str, is_error: bool) -> String {
    json!({"content": [{"type": "text", "text": text}], "isError": is_error}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use mcp::json::Limits;

    #[test]
    fn a_call_within_a_call_brings_all_that_belongs_to_it() {
        let outer = r#"{"jsonrpc":"2.0","id":"a","method":"tools/call","params":{"name":"call_tool",
            "arguments":{"name":"one__x","arguments":{"y":1}},"inputResponses":{"e":{"action":"accept"}},
            "requestState":"a \"b\"","_meta":{"k":1}}}"#;
        let inner = unwrap_call(&Message::parse(outer.as_bytes(), Limits::REQUEST).unwrap()).unwrap();
        let inner = Message::parse(&inner, Limits::REQUEST).unwrap();
        assert_eq!((inner.target(), inner.arguments()), (Some("one__x"), Some(r#"{"y":1}"#)));
        assert_eq!((inner.state(), inner.meta()), (Some("a \"b\""), Some(r#"{"k":1}"#)));
        assert_eq!(inner.inputs(), Some(r#"{"e":{"action":"accept"}}"#));
        assert_eq!(inner.id().map(|id| id.as_json()), Some("\"a\""));
    }
}
