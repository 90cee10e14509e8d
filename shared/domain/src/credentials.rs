//! Which inputs a server still wants, and how a person gets them; and keeping secrets out of what is remembered.

mod redact;
#[cfg(test)]
mod tests;

pub use redact::{assignments, redact};

use crate::{
    launch::{Launch, Wanted, file, variable},
    names::inline,
};
use protocol::{catalog::ServerJson, chat::RequiredCredential};
use serde_json::Value;
use std::collections::BTreeSet;

const DESCRIPTION_MAX: usize = 240;
const STEP_MAX: usize = 300;
const STEPS_MAX: usize = 8;

/// What is missing for a server: its required inputs that are not among `stored`, in the entry's order. `short` is the
/// server's short name.
pub fn missing(
    server: &ServerJson,
    short: &str,
    launch: &Launch,
    stored: &BTreeSet<String>,
) -> Vec<RequiredCredential> {
    let wanted = launch.inputs.iter().filter(|wanted| wanted.required && !stored.contains(&wanted.key));
    wanted.map(|wanted| required(server, short, wanted)).collect()
}

/// A variable that the user says the server needs too.
pub fn added(server: &ServerJson, short: &str, key: &str) -> RequiredCredential {
    let wanted = Wanted { key: key.to_owned(), description: String::new(), secret: true, required: true };
    required(server, short, &wanted)
}

fn required(server: &ServerJson, short: &str, wanted: &Wanted) -> RequiredCredential {
    let shown = inline(&wanted.description, DESCRIPTION_MAX);
    let title = title(server);
    let kind = match (file(&wanted.key), wanted.secret) {
        (Some(_), _) => "file",
        (None, true) => "secret",
        (None, false) => "setting",
    };
    RequiredCredential {
        mcp_server: short.to_owned(),
        credential_key: wanted.key.clone(),
        description: if shown.is_empty() { format!("A {kind} that {title} wants.") } else { shown },
        instructions: instructions(server, wanted, &title),
    }
}

/// The entry's title, or its name, fit to be shown.
pub fn title(server: &ServerJson) -> String {
    let title = inline(server.title.as_deref().unwrap_or_default(), 80);
    if title.is_empty() { inline(&server.name, 80) } else { title }
}

fn instructions(server: &ServerJson, wanted: &Wanted, title: &str) -> Vec<String> {
    let declared = server
        .meta
        .get("io.agentopia/instructions")
        .map(|value| declared(value, variable(&wanted.key)))
        .unwrap_or_default();
    if !declared.is_empty() {
        return declared;
    }
    let mut steps = Vec::new();
    let name = variable(&wanted.key);
    match page(server) {
        Some(page) => steps.push(format!("Look at {page} for how {title} wants {name} to be made.")),
        None => steps.push(format!("{title} names no page of its own: look for \"{name}\" in its documentation.")),
    }
    steps.push(
        match (file(&wanted.key), wanted.secret) {
            (Some(_), _) => "Save it as a text file, and say where it is: what is in it is stored encrypted.",
            (None, true) => {
                "Make one with the fewest rights that the job needs, and paste it here: it is stored encrypted."
            }
            (None, false) => "Enter its value here.",
        }
        .to_owned(),
    );
    steps
}

/// Either steps for each key, or steps for all.
fn declared(value: &Value, key: &str) -> Vec<String> {
    let steps: Vec<&str> = match value {
        Value::Object(by_key) => return by_key.get(key).map(|value| declared(value, key)).unwrap_or_default(),
        Value::Array(steps) => steps.iter().filter_map(Value::as_str).collect(),
        Value::String(step) => vec![step],
        _ => Vec::new(),
    };
    steps.into_iter().map(|step| inline(step, STEP_MAX)).filter(|step| !step.is_empty()).take(STEPS_MAX).collect()
}

/// The server's own page, when it is an ordinary web address.
fn page(server: &ServerJson) -> Option<&str> {
    let pages = [server.website_url.as_deref(), server.repository.as_ref().map(|repository| repository.url.as_str())];
    pages.into_iter().flatten().find(|page| {
        page.len() <= 200
            && page.strip_prefix("https://").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_alphanumeric()))
            && page.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~:/?#@%=+&".contains(&b))
    })
}
