//! What a request says in its headers of what its body says.

use super::Agreed;
use crate::message::Message;
use base64::{Engine, prelude::BASE64_STANDARD};
use reqwest::header::{ACCEPT, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value};

pub(crate) const VERSION: &str = "mcp-protocol-version";
pub(super) const SESSION: &str = "mcp-session-id";
pub(super) const LAST_EVENT: &str = "last-event-id";

/// Of a request that sends `message`.
pub(super) fn of(message: &Message<'_>, agreed: &Agreed) -> HeaderMap {
    let mut headers = common(agreed);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    if let (Some(version), Some(method)) = (message.meta_version(), message.method.as_deref()) {
        stateless(&mut headers, version, method, message.target());
        if let Some(marked) = message.target().and_then(|tool| agreed.marked(tool)).filter(|_| method == "tools/call") {
            let arguments: Map<String, Value> =
                message.arguments().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            for mirrored in &marked {
                if let (Some(value), Ok(name)) =
                    (mirrored.value(&arguments), HeaderName::try_from(mirrored.header().as_bytes()))
                {
                    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
                    headers.insert(name, value_of(&text));
                }
            }
        }
    }
    headers
}

/// Of every request of a session.
pub(super) fn common(agreed: &Agreed) -> HeaderMap {
    let mut headers = HeaderMap::new();
    if let Some(session) = agreed.session() {
        headers.insert(SESSION, session);
    }
    if let Some(version) = agreed.version() {
        headers.insert(VERSION, value_of(&version));
    }
    headers
}

/// What 2026-07-28 has every request repeat.
pub(crate) fn stateless(headers: &mut HeaderMap, version: &str, method: &str, target: Option<&str>) {
    headers.insert(VERSION, value_of(version));
    headers.insert("mcp-method", value_of(method));
    if let Some(target) = target {
        headers.insert("mcp-name", value_of(target));
    }
}

/// A header's value; what is not plain ASCII goes as Base64, as 2026-07-28 says.
fn value_of(value: &str) -> HeaderValue {
    let plain =
        value.bytes().all(|b| (0x20..0x7f).contains(&b)) && value.trim() == value && !value.starts_with("=?base64?");
    let text = if plain { value.to_owned() } else { format!("=?base64?{}?=", BASE64_STANDARD.encode(value)) };
    // Both forms are visible ASCII.
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}
