//! Known secrets do not leave: not in a result, not in a log line.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{Engine, prelude::BASE64_STANDARD};
use protocol::chat::Secret;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Shorter values would be found everywhere by chance, and are no secrets.
const SHORTEST: usize = 6;
const INSTEAD: &str = "[redacted]";

/// Finds secrets in the forms in which they appear in JSON and logs. It has no `Debug`: it would print them.
#[derive(Default)]
pub(super) struct Scrubber {
    automaton: Option<AhoCorasick>,
    /// By pattern: the servers that were given it.
    owners: Vec<BTreeSet<Arc<str>>>,
}

impl Scrubber {
    /// Of secrets and the servers that were given them.
    pub(super) fn new<'a>(secrets: impl Iterator<Item = (&'a Arc<str>, &'a Secret)>) -> Self {
        let mut all: BTreeMap<String, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (server, secret) in secrets.filter(|(_, secret)| secret.expose().len() >= SHORTEST) {
            for form in forms(secret.expose()) {
                all.entry(form).or_default().insert(server.clone());
            }
        }
        if all.is_empty() {
            return Self::default();
        }
        let (forms, owners): (Vec<String>, Vec<_>) = all.into_iter().unzip();
        // It fails only for automata of gigabytes; then everything is withheld, see `clean`.
        let automaton = AhoCorasick::builder().match_kind(MatchKind::LeftmostLongest).build(&forms);
        match automaton {
            Ok(automaton) => Self { automaton: Some(automaton), owners },
            Err(error) => {
                tracing::error!(%error, "too many secrets to look for");
                Self { automaton: AhoCorasick::new([""]).ok(), owners: Vec::new() }
            }
        }
    }

    /// Whether a server says what only others were given.
    pub(super) fn foreign(&self, text: &[u8], server: &str) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        let mut found = automaton.find_iter(text).filter_map(|found| self.owners.get(found.pattern().as_usize()));
        found.any(|owners| !owners.contains(server))
    }

    /// Whether there is anything to look for and it occurs.
    fn finds(&self, text: &[u8]) -> bool {
        self.automaton.as_ref().is_some_and(|automaton| automaton.is_match(text))
    }

    fn clean(&self, text: &[u8]) -> Vec<u8> {
        match &self.automaton {
            None => text.to_vec(),
            Some(automaton) => {
                let instead = vec![INSTEAD; automaton.patterns_len()];
                automaton.replace_all_bytes(text, &instead)
            }
        }
    }

    /// JSON text without secrets; none when it is not `whole` any more, because a secret of digits, or one that looks
    /// like JSON, stood outside of a string.
    pub(super) fn json(&self, text: Vec<u8>, whole: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        if !self.finds(&text) {
            return Some(text);
        }
        Some(self.clean(&text)).filter(|clean| whole(clean))
    }

    pub(super) fn line(&self, line: &str) -> String {
        if !self.finds(line.as_bytes()) {
            return line.to_owned();
        }
        String::from_utf8_lossy(&self.clean(line.as_bytes())).into_owned()
    }
}

/// As it is, inside a JSON string, inside JSON inside a JSON string, with `\u` escapes, in a URL, in Base64.
fn forms(value: &str) -> Vec<String> {
    let quoted = quoted(value);
    let twice = self::quoted(&quoted);
    vec![value.to_owned(), ascii(&quoted), quoted, twice, percent(value), BASE64_STANDARD.encode(value)]
}

fn quoted(value: &str) -> String {
    let text = serde_json::to_string(value).unwrap_or_default();
    text.trim_start_matches('"').strip_suffix('"').map(str::to_owned).unwrap_or_default()
}

/// As writers do that keep to ASCII.
fn ascii(text: &str) -> String {
    text.chars().fold(String::new(), |mut out, c| {
        if c.is_ascii() {
            out.push(c);
        } else {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
        out
    })
}

fn percent(text: &str) -> String {
    text.bytes()
        .map(|b| match b {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => Cow::Owned((b as char).to_string()),
            b => Cow::Owned(format!("%{b:02X}")),
        })
        .collect::<Vec<Cow<'_, str>>>()
        .concat()
}
