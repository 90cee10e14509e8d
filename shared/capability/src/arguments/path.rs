//! `{"format": "path-within", "within": ["/data"]}`: a path below one of some folders, by its text.

use jsonschema::{Keyword, ValidationError, paths::Location};
use serde_json::{Map, Value};

pub(super) const FORMAT: &str = "path-within";
pub(super) const KEYWORD: &str = "within";

/// The format says what a path is, the keyword where it may lead: one without the other confines nothing.
pub(super) fn is_confined(members: &Map<String, Value>) -> bool {
    let format = members.get("format").and_then(Value::as_str) == Some(FORMAT);
    !format || members.get(KEYWORD).and_then(folders).is_some()
}

/// Absolute, and nothing in it that could mean another place to whoever reads it.
pub(super) fn is_plain(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    path.starts_with('/')
        && !path.contains('\\')
        && !path.chars().any(char::is_control)
        && !path.split('/').any(|part| part == "..")
        && !["%2e", "%2f", "%5c", "%00", "%25"].iter().any(|escape| lower.contains(escape))
}

fn folders(value: &Value) -> Option<Vec<String>> {
    let folder = |value: &Value| {
        let folder = value.as_str().filter(|folder| is_plain(folder))?;
        Some(parts(folder).collect::<Vec<_>>().join("/"))
    };
    match value {
        Value::Array(items) if !items.is_empty() => items.iter().map(folder).collect(),
        other => folder(other).map(|folder| vec![folder]),
    }
}

fn parts(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|part| !part.is_empty() && *part != ".")
}

struct Within(Vec<String>);

impl Within {
    fn holds(&self, path: &str) -> bool {
        is_plain(path)
            && self.0.iter().any(|folder| {
                let mut path = parts(path);
                folder.split('/').filter(|part| !part.is_empty()).all(|part| path.next() == Some(part))
            })
    }
}

impl<'i> Keyword<'i> for Within {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if self.is_valid(instance) { Ok(()) } else { Err(ValidationError::custom("not within")) }
    }

    fn is_valid(&self, instance: &'i Value) -> bool {
        instance.as_str().is_some_and(|path| self.holds(path))
    }
}

pub(super) fn within<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    match folders(value) {
        Some(folders) => Ok(Box::new(Within(folders))),
        None => Err(ValidationError::custom("`within` names folders by absolute paths")),
    }
}
