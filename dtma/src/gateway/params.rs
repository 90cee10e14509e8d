//! Whether headers repeat the arguments that a tool's definition marks (`mcp::mirrored`).

use super::era;
use axum::http::HeaderMap;
use mcp::mirrored::Mirrored;
use serde_json::{Map, Value};

/// Whether each header says what its argument says: there when the argument is there, absent when it is not.
pub(super) fn agree(marked: &[Mirrored], headers: &HeaderMap, arguments: &str) -> bool {
    if marked.is_empty() {
        return true;
    }
    let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
    marked.iter().all(|mirrored| {
        let mut all = headers.get_all(mirrored.header()).iter();
        match (mirrored.value(&arguments), all.next(), all.next()) {
            (None, None, _) => true,
            (Some(value), Some(header), None) => header.to_str().is_ok_and(|header| same(value, header)),
            _ => false,
        }
    })
}

fn same(value: &Value, header: &str) -> bool {
    let Ok(header) = era::decode(header, None) else { return false };
    match value {
        Value::String(text) => *text == header,
        Value::Bool(flag) => header == if *flag { "true" } else { "false" },
        // 42 and 42.0 are the same integer.
        Value::Number(number) => header.parse::<serde_json::Number>().is_ok_and(|said| {
            *number == said || (number.as_f64() == said.as_f64() && (number.is_f64() || said.is_f64()))
        }),
        _ => false,
    }
}
