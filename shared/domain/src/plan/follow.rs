//! What a message means while a plan waits for its user.

use protocol::plan::Plan;

/// A turn after the one that made the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    /// Go on with the plan.
    Yes,
    /// Forget the plan.
    Cancel,
    /// Put `wanted` in the place of the server `instead_of`, or of the one that has it among its alternatives.
    Use { wanted: String, instead_of: Option<String> },
    /// The server wants another variable.
    Add { server: Option<String>, key: String },
    /// The server works without the variable.
    Without { key: String },
    /// None of these: a new request.
    New,
}

/// Reads a message by rules. `message` is what the user wrote, in any case and with any punctuation around.
pub fn follow(message: &str, plan: &Plan) -> Follow {
    let trimmed = message.trim().trim_end_matches(['.', '!', '?']).trim();
    let lower = trimmed.to_lowercase();
    if YES.contains(&lower.as_str()) {
        return Follow::Yes;
    }
    if CANCEL.contains(&lower.as_str()) {
        return Follow::Cancel;
    }
    let words: Vec<&str> =
        trimmed.split_whitespace().map(|word| word.trim_matches([',', '"', '\'', '`', ':'])).collect();
    replace(&words).or_else(|| variable(&words, plan)).unwrap_or(Follow::New)
}

const YES: [&str; 18] = [
    "yes",
    "y",
    "yes please",
    "ok",
    "okay",
    "go",
    "go on",
    "go ahead",
    "continue",
    "do it",
    "sure",
    "proceed",
    "try again",
    "again",
    "ja",
    "sí",
    "oui",
    "weiter",
];
const CANCEL: [&str; 12] = [
    "no",
    "n",
    "cancel",
    "stop",
    "abort",
    "forget it",
    "never mind",
    "nevermind",
    "no thanks",
    "start over",
    "nein",
    "abbrechen",
];

/// `use X instead of Y`, `use X instead`, `use X for Y`, `replace Y with X`, `take X`.
fn replace(words: &[&str]) -> Option<Follow> {
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let lower: Vec<&str> = lower.iter().map(String::as_str).collect();
    let name = |at: usize| words.get(at).map(|word| (*word).to_owned()).filter(|word| !word.is_empty());
    match lower.as_slice() {
        ["use" | "take", _, "instead", "of", _] | ["use" | "take", _, "for", _] => {
            Some(Follow::Use { wanted: name(1)?, instead_of: name(words.len() - 1) })
        }
        ["use" | "take", _] | ["use" | "take", _, "instead"] => {
            Some(Follow::Use { wanted: name(1)?, instead_of: None })
        }
        ["replace", _, "with" | "by", _] => Some(Follow::Use { wanted: name(3)?, instead_of: name(1) }),
        _ => None,
    }
}

/// `the server also needs KEY`, `github needs KEY too`, `add KEY`, `without KEY`, `skip KEY`.
fn variable(words: &[&str], plan: &Plan) -> Option<Follow> {
    let key = words.iter().find(|word| is_key(word)).map(|word| (*word).to_owned())?;
    let lower: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
    let says = |any: &[&str]| lower.iter().any(|word| any.contains(&word.as_str()));
    if says(&["without", "skip", "drop"]) {
        return Some(Follow::Without { key });
    }
    if !says(&["needs", "need", "wants", "add", "requires", "also"]) || words.len() > 14 {
        return None;
    }
    let servers: Vec<&str> =
        plan.capabilities.iter().filter_map(|c| c.chosen.as_ref()).map(|c| c.server.as_str()).collect();
    let server =
        servers.iter().find(|server| lower.iter().any(|word| word == *server)).map(|server| (*server).to_owned());
    Some(Follow::Add { server, key })
}

/// `LINEAR_API_KEY`: a variable's name, which no ordinary word is.
fn is_key(word: &str) -> bool {
    (3..=64).contains(&word.len())
        && word.contains('_')
        && word.starts_with(|c: char| c.is_ascii_uppercase())
        && word.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_')
}
