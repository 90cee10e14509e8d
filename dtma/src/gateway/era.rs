//! Which revision a request speaks, and whether its headers say what its body says.

use super::denial::Denial;
use axum::http::{HeaderMap, StatusCode};
use base64::{Engine, prelude::BASE64_STANDARD};
use mcp::{Message, Version, code};
use serde_json::json;
use std::borrow::Cow;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Era {
    /// 2026-07-28: each request stands for itself.
    Stateless,
    /// Up to 2025-11-25: `initialize`, then a session.
    Session,
}

/// The revisions that are spoken here, newest first.
pub(super) fn supported() -> Vec<&'static str> {
    Version::ALL.iter().rev().filter(|v| **v >= Version::V2025_03_26).map(|v| v.as_str()).collect()
}

/// A request that names a version in its body is of the stateless form, and then its headers must agree with it:
/// who routes by the header and who acts on the body must not see two different requests.
pub(super) fn of(headers: &HeaderMap, message: &Message<'_>) -> Result<Era, Denial> {
    let id = message.id().map(|id| id.as_json());
    let header = one(headers, "mcp-protocol-version", id)?;
    match (message.meta_version(), header) {
        (Some(body), header) => {
            if header != Some(body) {
                return Err(mismatch(id, "MCP-Protocol-Version does not agree with the body"));
            }
            if !Version::parse(body).is_some_and(Version::is_stateless) {
                return Err(unsupported(id, body));
            }
            if id.is_some() {
                agree(headers, message, id)?;
            }
            Ok(Era::Stateless)
        }
        (None, Some(header)) => match Version::parse(header) {
            None => Err(unsupported(id, header)),
            // Its notifications carry no metadata.
            Some(version) if version.is_stateless() && id.is_none() => Ok(Era::Stateless),
            Some(version) if version.is_stateless() => Err(Denial::rpc_with(
                StatusCode::BAD_REQUEST,
                id,
                code::INVALID_PARAMS,
                "_meta lacks io.modelcontextprotocol/protocolVersion",
            )),
            Some(_) => Ok(Era::Session),
        },
        (None, None) => Ok(Era::Session),
    }
}

fn agree(headers: &HeaderMap, message: &Message<'_>, id: Option<&str>) -> Result<(), Denial> {
    let method = message.method.as_deref().unwrap_or_default();
    if one(headers, "mcp-method", id)? != Some(method) {
        return Err(mismatch(id, "Mcp-Method does not agree with the body"));
    }
    if matches!(method, "tools/call" | "prompts/get" | "resources/read") {
        let said = one(headers, "mcp-name", id)?.map(|said| decode(said, id)).transpose()?;
        if said.is_none() || said.as_deref() != message.target() {
            return Err(mismatch(id, "Mcp-Name does not agree with the body"));
        }
    }
    if message.client_capabilities().is_none() {
        return Err(Denial::rpc_with(
            StatusCode::BAD_REQUEST,
            id,
            code::INVALID_PARAMS,
            "_meta lacks io.modelcontextprotocol/clientCapabilities",
        ));
    }
    Ok(())
}

/// A header that may stand once.
fn one<'h>(headers: &'h HeaderMap, name: &'static str, id: Option<&str>) -> Result<Option<&'h str>, Denial> {
    let mut all = headers.get_all(name).iter();
    let Some(value) = all.next() else { return Ok(None) };
    match (value.to_str(), all.next()) {
        (Ok(value), None) => Ok(Some(value)),
        _ => Err(mismatch(id, "a protocol header is repeated or not plain text")),
    }
}

/// Values that are not plain ASCII travel as `=?base64?…?=`.
pub(super) fn decode<'h>(value: &'h str, id: Option<&str>) -> Result<Cow<'h, str>, Denial> {
    let Some(inner) = value.strip_prefix("=?base64?").and_then(|rest| rest.strip_suffix("?=")) else {
        return Ok(Cow::Borrowed(value));
    };
    let bytes = BASE64_STANDARD.decode(inner).ok();
    bytes
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .map(Cow::Owned)
        .ok_or_else(|| mismatch(id, "a protocol header is not valid Base64"))
}

pub(super) fn mismatch(id: Option<&str>, what: &str) -> Denial {
    Denial::rpc_with(StatusCode::BAD_REQUEST, id, code::HEADER_MISMATCH, format!("Header mismatch: {what}"))
}

fn unsupported(id: Option<&str>, requested: &str) -> Denial {
    Denial::Rpc {
        status: StatusCode::BAD_REQUEST,
        id: id.map(str::to_owned),
        code: code::UNSUPPORTED_VERSION,
        message: "Unsupported protocol version".into(),
        data: Some(json!({"supported": supported(), "requested": requested})),
    }
}
