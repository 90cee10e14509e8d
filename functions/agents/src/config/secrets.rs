//! Which values are secret.
//!
//! A value is plain only when it clearly is one. Taking a plain setting for a secret costs nothing (the toolbox gets it all
//! the same); the other way round it would stand readable in the database.

use domain::credentials::redact;

pub(super) enum Judgement {
    Plain,
    Secret,
    /// There is no value yet, only the place for one.
    Missing,
}

pub(super) enum Argument {
    Plain(String),
    /// `before` stays in front of the value: `--token=`.
    Secret {
        before: String,
        name: String,
        value: String,
    },
}

/// Words in a variable's name that mean its value is nobody else's business.
const TELLING: [&str; 27] = [
    "token",
    "tokens",
    "key",
    "keys",
    "apikey",
    "secret",
    "secrets",
    "password",
    "passwd",
    "passphrase",
    "pass",
    "pwd",
    "credential",
    "credentials",
    "auth",
    "authorization",
    "pat",
    "cookie",
    "cookies",
    "dsn",
    "private",
    "bearer",
    "jwt",
    "session",
    "hook",
    "webhook",
    "webhooks",
];

pub(super) fn judge(name: &str, value: &str) -> Judgement {
    if is_placeholder(value) {
        Judgement::Missing
    } else if !tells(name) && is_plain(value) {
        Judgement::Plain
    } else {
        Judgement::Secret
    }
}

/// Finds values after a flag that tells (`--api-key X`, `--token=X`), in headers (`Authorization: X`), and such that look
/// like one wherever they stand.
pub(super) fn arguments(args: Vec<String>) -> Vec<Argument> {
    let mut found = Vec::new();
    let mut flag: Option<String> = None;
    for (nth, argument) in args.into_iter().enumerate() {
        let before = flag.take();
        if let Some((name, value)) = argument.split_once('=').filter(|(name, _)| name.starts_with('-'))
            && !value.is_empty()
            && (tells(name) || looks_secret(value))
        {
            let (before, name, value) = (format!("{name}="), variable(name, nth), value.to_owned());
            found.push(Argument::Secret { before, name, value });
        } else if let Some(name) = before.filter(|_| !argument.starts_with('-')) {
            found.push(Argument::Secret { before: String::new(), name: variable(&name, nth), value: argument });
        } else if let Some((name, value)) = header(&argument) {
            let (before, name, value) = (format!("{name}:"), variable(name, nth), value.to_owned());
            found.push(Argument::Secret { before, name, value });
        } else if looks_secret(&argument) {
            found.push(Argument::Secret { before: String::new(), name: variable("", nth), value: argument });
        } else {
            flag = (argument.starts_with('-') && !argument.contains('=') && tells(&argument)).then(|| argument.clone());
            found.push(Argument::Plain(argument));
        }
    }
    found
}

/// A header that tells, and its value. One that only names a variable (`Bearer ${TOKEN}`) carries nothing.
fn header(text: &str) -> Option<(&str, &str)> {
    let (name, value) = text.split_once(':')?;
    let names_a_variable =
        value.split_whitespace().last().is_some_and(|last| last.starts_with("${") && last.ends_with('}'));
    let carries = !value.trim().is_empty() && !value.starts_with("//") && !names_a_variable;
    (carries && !name.contains(char::is_whitespace) && tells(name)).then_some((name, value))
}

/// `--api-key` is `API_KEY`; an argument without a name is called by its place.
pub(super) fn variable(flag: &str, nth: usize) -> String {
    let name: Vec<String> = flag
        .split(|c: char| !c.is_ascii_alphanumeric())
        .filter(|w| !w.is_empty())
        .map(str::to_ascii_uppercase)
        .collect();
    match name.join("_") {
        name if name.starts_with(|c: char| c.is_ascii_alphabetic()) => name,
        _ => format!("ARGUMENT_{}_SECRET", nth + 1),
    }
}

fn tells(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    lower.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| {
        TELLING.contains(&word) || ["token", "apikey", "secret", "password"].iter().any(|end| word.ends_with(end))
    })
}

/// Left in a published example for its reader to fill in.
fn is_placeholder(value: &str) -> bool {
    let value = value.trim();
    let lower = value.to_ascii_lowercase();
    value.is_empty()
        || value.starts_with("${")
        || (value.starts_with('<') && value.ends_with('>'))
        || (value.starts_with('{') && value.ends_with('}') && !value.contains('"'))
        || lower.starts_with("your")
        || lower.ends_with("_here")
        || lower.ends_with("-here")
        || (value.len() >= 3 && lower.bytes().all(|b| matches!(b, b'x' | b'*' | b'.' | b'-')))
}

/// A number, a switch, a short word or list of words, a path, an address that carries no password.
fn is_plain(value: &str) -> bool {
    if looks_secret(value) || value.len() > 200 {
        return false;
    }
    let mixed = value.len() > 20
        && value.bytes().any(|b| b.is_ascii_digit())
        && !value.contains(['/', '.', ' ', ':', ',', '-', '_']);
    !mixed && value.chars().all(|c| c.is_alphanumeric() || "/\\.:,-_ @+*~%?=&#".contains(c))
}

pub(super) fn looks_secret(value: &str) -> bool {
    let address = value.split_once("://").map(|(_, rest)| rest);
    let carries = address.is_some_and(|rest| rest.split(['/', '?', '#']).next().unwrap_or_default().contains('@'))
        || address
            .and_then(|rest| rest.split_once('?'))
            .is_some_and(|(_, query)| query.split('&').any(|pair| tells(pair.split('=').next().unwrap_or_default())))
        || value.starts_with("https://hooks.")
        || address.is_some_and(|rest| rest.split(['/', '?', '#']).skip(1).any(is_made));
    carries || header(value).is_some() || value.contains("-----BEGIN") || redact(value, &[]) != value
}

/// A part of a path that nobody would write: whoever knows the address of a webhook may use it.
pub(super) fn is_made(part: &str) -> bool {
    let run = part.split(|c: char| !c.is_ascii_alphanumeric()).any(|run| {
        let digits = run.bytes().filter(u8::is_ascii_digit).count();
        run.len() >= 16 && digits > 0 && digits < run.len()
    });
    let has = |kind: fn(&u8) -> bool| part.as_bytes().iter().any(kind);
    let mixed = has(u8::is_ascii_digit) && has(u8::is_ascii_lowercase) && has(u8::is_ascii_uppercase);
    run || (part.len() >= 16 && mixed && !part.contains('.'))
}
