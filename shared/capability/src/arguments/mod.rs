//! The JSON Schema that a call's arguments must satisfy, compiled at its first use and kept with the token.

mod bounds;
mod path;
#[cfg(test)]
mod tests;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use std::sync::OnceLock;

/// Compiled lazily: a token may carry hundreds of schemas and be used for one call.
#[derive(Default)]
pub(crate) struct Constraint(OnceLock<Option<Validator>>);

impl Constraint {
    /// A schema that does not compile holds for nothing.
    pub(crate) fn holds(&self, schema: Option<&Value>, arguments: &Value) -> bool {
        let Some(schema) = schema else { return true };
        bounds::arguments_within(arguments)
            && self.0.get_or_init(|| compile(schema)).as_ref().is_some_and(|validator| validator.is_valid(arguments))
    }
}

/// Whether a toolbox could apply the schema at all; a grant with another would allow nothing.
pub fn is_usable_schema(schema: &Value) -> bool {
    compile(schema).is_some()
}

fn compile(schema: &Value) -> Option<Validator> {
    if !bounds::schema_within(schema) {
        return None;
    }
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex().size_limit(1 << 20).dfa_size_limit(1 << 20))
        .should_validate_formats(true)
        .should_ignore_unknown_formats(false)
        .with_format(path::FORMAT, path::is_plain)
        .with_keyword(path::KEYWORD, path::within)
        .build(schema)
        .ok()
}
