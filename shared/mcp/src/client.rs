//! A small client of the stateless revision over HTTP: for the command line, an agent's run and tests.

use crate::{
    Error, Version,
    json::{Limits, Refused},
    message::Message,
    remote::{events::Events, headers},
};
use reqwest::{
    Response,
    header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderValue},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};
use std::{
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    time::Duration,
};

/// Longest answer, in bytes.
const ANSWER: usize = 32 << 20;
const PAGES: usize = 100;

/// Speaks to one endpoint with one capability. It has no `Debug`: it holds a token.
pub struct Client {
    http: reqwest::Client,
    url: String,
    token: String,
    next: AtomicU64,
    timeout: Duration,
}

/// What a tool gave back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct CallResult {
    #[serde(default)]
    pub content: Vec<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured_content: Option<Value>,
    /// The tool itself says that it failed.
    #[serde(default)]
    pub is_error: bool,
    /// `complete`, or `input_required`.
    #[serde(default = "complete")]
    pub result_type: String,
    /// Whatever else the server said.
    #[serde(flatten)]
    pub other: serde_json::Map<String, Value>,
}

fn complete() -> String {
    "complete".into()
}

impl CallResult {
    /// The text parts, a line each.
    pub fn text(&self) -> String {
        let texts: Vec<&str> = self.content.iter().filter_map(|part| part.get("text")?.as_str()).collect();
        texts.join("\n")
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Client {
    pub fn new(http: reqwest::Client, url: impl Into<String>, token: impl Into<String>) -> Self {
        let timeout = Duration::from_secs(300);
        Self { http, url: url.into(), token: token.into(), next: AtomicU64::new(1), timeout }
    }

    /// How long a request may take; five minutes unless set.
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// The definitions of all tools, as the server gives them.
    pub async fn tools(&self) -> Result<Vec<Value>, Error> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        for _ in 0..PAGES {
            let params = cursor.as_ref().map_or_else(|| json!({}), |cursor| json!({"cursor": cursor}));
            let page: Page = serde_json::from_str(self.request("tools/list", params).await?.get())?;
            all.extend(page.tools);
            match page.next_cursor {
                None => return Ok(all),
                next => cursor = next,
            }
        }
        Err(Error::NotMcp("its list of tools does not end".into()))
    }

    /// Calls a tool. `Error::Rpc` is a refusal, or a failure before the tool ran.
    pub async fn call(&self, name: &str, arguments: &Value) -> Result<CallResult, Error> {
        let result = self.request("tools/call", json!({"name": name, "arguments": arguments})).await?;
        Ok(serde_json::from_str(result.get())?)
    }

    /// Any request; the result's JSON text. `params` must be an object.
    pub async fn request(&self, method: &str, mut params: Value) -> Result<Box<RawValue>, Error> {
        let version = Version::V2026_07_28.as_str();
        params["_meta"]["io.modelcontextprotocol/protocolVersion"] = version.into();
        params["_meta"]["io.modelcontextprotocol/clientCapabilities"] = json!({});
        params["_meta"]["io.modelcontextprotocol/clientInfo"] =
            json!({"name": "agentopia", "version": env!("CARGO_PKG_VERSION")});
        let id = self.next.fetch_add(1, Relaxed);
        let body = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string();
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
        let target = params.get("name").or_else(|| params.get("uri")).and_then(Value::as_str);
        headers::stateless(&mut headers, version, method, target);
        let request = self.http.post(&self.url).bearer_auth(&self.token).headers(headers).body(body);
        let response = request.timeout(self.timeout).send().await?;
        answer(response, id).await
    }
}

async fn answer(response: Response, id: u64) -> Result<Box<RawValue>, Error> {
    let status = response.status();
    let kind = response.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
    let body = read(response).await?;
    if kind.starts_with("text/event-stream") {
        let mut events = Events::new(ANSWER);
        events.push(&body);
        // What is left of an event that was not ended is none.
        while let Ok(Some(event)) = events.next() {
            if is_answer(&event.data, id) {
                return result(event.data.as_bytes());
            }
        }
        return Err(Error::BadAnswer(Refused::Envelope("a stream without an answer")));
    }
    if kind.starts_with("application/json") && !body.is_empty() {
        return result(&body);
    }
    let detail = serde_json::from_slice::<protocol::problem::Problem>(&body).ok();
    let detail = detail.and_then(|problem| Some(format!("{}. {}", problem.detail?, problem.fix.unwrap_or_default())));
    let detail = detail.unwrap_or_else(|| status.canonical_reason().unwrap_or("no reason given").into());
    Err(Error::Status { status: status.as_u16(), detail })
}

async fn read(mut response: Response) -> Result<Vec<u8>, Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        if body.len() + chunk.len() > ANSWER {
            return Err(Error::TooLarge { size: body.len() + chunk.len(), limit: ANSWER });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn is_answer(event: &str, id: u64) -> bool {
    let id = id.to_string();
    Message::parse(event.as_bytes(), Limits::ANSWER)
        .is_ok_and(|message| message.is_answer() && message.id().is_some_and(|found| found.as_json() == id))
}

fn result(body: &[u8]) -> Result<Box<RawValue>, Error> {
    let message = Message::parse(body, Limits::ANSWER).map_err(Error::BadAnswer)?;
    match (message.result(), message.error()) {
        (Some(result), None) => Ok(serde_json::from_str(result)?),
        (_, error) => Err(crate::connection::rpc(error.unwrap_or("null"))),
    }
}
