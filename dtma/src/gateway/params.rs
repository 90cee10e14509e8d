//! `Mcp-Param-*`: arguments that a tool's definition has its callers repeat in headers (2026-07-28, "Custom Headers from
//! Tool Parameters").

use super::era;
use axum::http::HeaderMap;
use serde_json::{Map, Value};

const ANNOTATION: &str = "x-mcp-header";
/// Deeper properties are not looked for.
const DEPTH: usize = 16;

/// One argument and the header that repeats it.
#[derive(Debug, PartialEq)]
pub(super) struct Mirrored {
    header: String,
    path: Vec<String>,
}

/// What a definition marks. Only what is reached by `properties` alone counts; a mark that breaks the rules is the
/// client's to refuse, and none that can be checked.
pub(super) fn marked(definition: &Value) -> Vec<Mirrored> {
    let mut found = Vec::new();
    collect(&definition["inputSchema"], &mut Vec::new(), &mut found);
    found
}

fn collect(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Mirrored>) {
    let properties = schema.get("properties").and_then(Value::as_object).filter(|_| path.len() < DEPTH);
    for (name, property) in properties.into_iter().flatten() {
        path.push(name.clone());
        let primitive = matches!(property["type"].as_str(), Some("string" | "integer" | "boolean"));
        match property.get(ANNOTATION).and_then(Value::as_str) {
            Some(header) if primitive && is_token(header) => {
                found.push(Mirrored {
                    header: format!("mcp-param-{}", header.to_ascii_lowercase()),
                    path: path.clone(),
                });
            }
            _ => collect(property, path, found),
        }
        path.pop();
    }
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

/// Whether each header says what its argument says: there when the argument is there, absent when it is not.
pub(super) fn agree(marked: &[Mirrored], headers: &HeaderMap, arguments: &str) -> bool {
    if marked.is_empty() {
        return true;
    }
    let arguments: Map<String, Value> = serde_json::from_str(arguments).unwrap_or_default();
    marked.iter().all(|mirrored| {
        let (first, inner) = mirrored.path.split_first().map_or((None, &[][..]), |(first, inner)| (Some(first), inner));
        let value = inner.iter().fold(first.and_then(|first| arguments.get(first)), |value, name| value?.get(name));
        let mut all = headers.get_all(&mirrored.header).iter();
        match (value.filter(|value| !value.is_null()), all.next(), all.next()) {
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
