//! Known secrets do not leave: not in a result, not in a line of a log.

use aho_corasick::{AhoCorasick, MatchKind};
use base64::{
    Engine,
    prelude::{BASE64_STANDARD, BASE64_STANDARD_NO_PAD},
};
use protocol::chat::Secret;
use std::{
    borrow::Cow,
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// Shorter values would be found everywhere by chance, and are no secrets.
const SHORTEST: usize = 6;
/// A line of a longer value is looked for by itself when it is one word of so many bytes, as in a PEM file, or a line of so
/// many, as a key in a JSON file; others are words that anybody may say.
const LONG_WORD: usize = 20;
const LONG_LINE: usize = 100;
const INSTEAD: &str = "[redacted]";

/// Finds secrets in the forms in which they appear in JSON and logs. It has no `Debug`: it would print them.
#[derive(Default)]
pub(crate) struct Scrubber {
    automaton: Option<AhoCorasick>,
    /// By pattern: the servers that were given it.
    owners: Vec<BTreeSet<Arc<str>>>,
}

impl Scrubber {
    /// Of secrets and the servers that were given them.
    pub(crate) fn new<'a>(secrets: impl Iterator<Item = (&'a Arc<str>, &'a Secret)>) -> Self {
        let mut all: BTreeMap<String, BTreeSet<Arc<str>>> = BTreeMap::new();
        for (server, secret) in secrets {
            for form in parts(secret.expose()).flat_map(forms) {
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
    pub(crate) fn foreign(&self, text: &[u8], server: &str) -> bool {
        let Some(automaton) = &self.automaton else { return false };
        let mut found = automaton.find_iter(text).filter_map(|found| self.owners.get(found.pattern().as_usize()));
        found.any(|owners| !owners.contains(server))
    }

    /// Whether there is anything to look for and it occurs.
    pub(crate) fn finds(&self, text: &[u8]) -> bool {
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
    pub(crate) fn json(&self, text: Vec<u8>, whole: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        if !self.finds(&text) {
            return Some(text);
        }
        Some(self.clean(&text)).filter(|clean| whole(clean))
    }

    pub(crate) fn line(&self, line: &str) -> String {
        if !self.finds(line.as_bytes()) {
            return line.to_owned();
        }
        String::from_utf8_lossy(&self.clean(line.as_bytes())).into_owned()
    }
}

/// The value without what a file has around it, and those of its lines that tell by themselves.
fn parts(value: &str) -> impl Iterator<Item = &str> {
    let whole = value.trim();
    let lines = whole.lines().map(str::trim).filter(move |line| line.len() < whole.len());
    let word = |line: &&str| line.len() >= LONG_WORD && !line.contains(char::is_whitespace);
    let lines = lines.filter(move |line| word(line) || line.len() >= LONG_LINE);
    std::iter::once(whole).chain(lines).filter(|part| part.len() >= SHORTEST)
}

/// As it is, inside a JSON string as several languages write it, inside JSON inside a JSON string, in a URL, in Base64.
fn forms(value: &str) -> Vec<String> {
    let quoted = quoted(value);
    let twice = self::quoted(&quoted);
    let html = quoted.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e");
    let slashes = quoted.replace('/', "\\/");
    let mut forms = vec![value.to_owned(), ascii(&quoted), quoted, twice, html, slashes, percent(value)];
    forms.push(BASE64_STANDARD.encode(value));
    for before in 0..3 {
        let base64 = within_base64(value, before);
        forms.push(base64.replace('+', "-").replace('/', "_"));
        forms.push(base64);
    }
    forms
}

/// What of a longer text's Base64 is the value's alone, when so many bytes more than threes stand before it.
fn within_base64(value: &str, before: usize) -> String {
    let bytes = [&[0; 3][..before], value.as_bytes()].concat();
    let text = BASE64_STANDARD_NO_PAD.encode(&bytes);
    text[(before * 8).div_ceil(6)..bytes.len() * 8 / 6].to_owned()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubber(secret: &str) -> Scrubber {
        let (server, secret) = (Arc::from("one"), Secret::new(secret.to_owned()));
        Scrubber::new([(&server, &secret)].into_iter())
    }

    #[test]
    fn a_secret_is_found_however_it_is_written() {
        let secret = "s3cr<et>&/\"k\"\u{e9}-+";
        let scrubber = scrubber(&format!("{secret}\n"));
        let json = serde_json::to_string(secret).expect("it is text");
        let inner = json[1..json.len() - 1].to_owned();
        for text in [
            secret.to_owned(),
            json.clone(),
            serde_json::to_string(&json).expect("it is text"),
            inner.replace('/', "\\/"),
            inner.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026"),
            inner.replace('\u{e9}', "\\u00e9"),
            "s3cr%3Cet%3E%26%2F%22k%22%C3%A9-%2B".to_owned(),
        ] {
            let clean = scrubber.line(&text);
            assert!(clean.contains(INSTEAD) && !clean.contains("s3cr"), "{text}: {clean}");
        }
        for user in ["", "a", "ab", "abc", "somebody"] {
            for text in [format!("{user}:{secret}"), format!("{user}:{secret}@host")] {
                let base64 = BASE64_STANDARD.encode(&text);
                for base64 in [base64.replace('+', "-").replace('/', "_"), base64] {
                    assert!(scrubber.finds(base64.as_bytes()), "{text}: {base64}");
                }
            }
        }
        assert!(!scrubber.finds(b"s3cret, and nothing of it"));
    }

    #[test]
    fn a_line_of_a_longer_one_is_found_and_what_anybody_may_say_is_not() {
        let key = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7";
        let long = format!("\"private_key\": \"-----BEGIN PRIVATE KEY-----{key}{key}\"");
        let scrubber = scrubber(&format!(
            "-----BEGIN PRIVATE KEY-----\n{key}\nshort==\n  \"type\": \"service_account\",\n{long}\n"
        ));
        assert_eq!(scrubber.line(&format!("reading {key}")), "reading [redacted]");
        assert!(scrubber.finds(long.as_bytes()));
        for text in ["-----BEGIN PRIVATE KEY-----", "short==", "  \"type\": \"service_account\","] {
            assert!(!scrubber.finds(text.as_bytes()), "{text}");
        }
    }

    #[test]
    fn what_is_too_short_is_no_secret() {
        assert!(!scrubber("abc").finds(b"abc"));
        assert!(!scrubber("  abc \n").finds(b"abc"));
        assert!(scrubber("abcdef").finds(b"abcdef"));
    }
}
