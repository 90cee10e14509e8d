//! `Mcp-Param-*`: arguments that a tool's definition has its callers repeat in headers (2026-07-28, "Custom Headers from
//! Tool Parameters").

use serde_json::{Map, Value};

const ANNOTATION: &str = "x-mcp-header";
/// Deeper properties are not looked for.
const DEPTH: usize = 16;

/// One argument and the header that repeats it.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirrored {
    header: String,
    path: Vec<String>,
}

impl Mirrored {
    /// In lower case.
    pub fn header(&self) -> &str {
        &self.header
    }

    /// The argument, when it is there and not null.
    pub fn value<'a>(&self, arguments: &'a Map<String, Value>) -> Option<&'a Value> {
        let (first, inner) = self.path.split_first()?;
        let value = inner.iter().fold(arguments.get(first), |value, name| value?.get(name));
        value.filter(|value| !value.is_null())
    }
}

/// What a definition marks. Only what is reached by `properties` alone counts; a mark that breaks the rules is the
/// client's to refuse, and none that can be checked.
pub fn marked(definition: &Value) -> Vec<Mirrored> {
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
