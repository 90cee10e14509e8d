//! Bounds on the work that a schema or a call's arguments can ask for.

use super::path;
use serde_json::{Map, Value};

const SCHEMA_NODES: usize = 512;
const SCHEMA_DEPTH: usize = 16;
const ARGUMENT_NODES: usize = 100_000;
const ARGUMENT_DEPTH: usize = 64;

/// Members that lead elsewhere. Two references to the schema itself already make the work endless.
const REFERENCES: [&str; 4] = ["$ref", "$dynamicRef", "$recursiveRef", "$id"];

pub(super) fn schema_within(schema: &Value) -> bool {
    bounded(schema, SCHEMA_NODES, SCHEMA_DEPTH, |members| {
        // A property may be called `$ref`: its value is then a schema, not a text.
        let leads_away = REFERENCES.iter().any(|name| members.get(*name).is_some_and(Value::is_string));
        !leads_away && path::is_confined(members)
    })
}

pub(super) fn arguments_within(arguments: &Value) -> bool {
    bounded(arguments, ARGUMENT_NODES, ARGUMENT_DEPTH, |_| true)
}

/// Walks without recursion, so that depth cannot exhaust the stack.
fn bounded(value: &Value, nodes: usize, depth: usize, object: impl Fn(&Map<String, Value>) -> bool) -> bool {
    let mut left = nodes;
    let mut waiting = vec![(value, depth)];
    while let Some((value, depth)) = waiting.pop() {
        if left == 0 || depth == 0 {
            return false;
        }
        left -= 1;
        match value {
            Value::Array(items) => waiting.extend(items.iter().map(|item| (item, depth - 1))),
            Value::Object(members) => {
                if !object(members) {
                    return false;
                }
                waiting.extend(members.values().map(|member| (member, depth - 1)));
            }
            _ => {}
        }
        if waiting.len() > left {
            return false;
        }
    }
    true
}
