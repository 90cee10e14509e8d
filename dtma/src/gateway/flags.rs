//! Signs that an answer is not what it seems: it held what another server was given, or characters that a person does not
//! see and a model reads. The answer goes on (what was a secret is removed anyhow); the sign stands in it for its reader, in the
//! record of the call, in the log and in the metrics.

use mcp::{Message, json::Limits};
use serde_json::value::{RawValue, to_raw_value};
use std::collections::BTreeMap;

/// Where a marked result says so.
const MARK: &str = "io.agentopia/flags";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Flag {
    ForeignSecret,
    Invisible,
}

impl Flag {
    pub(super) const ALL: [Self; 2] = [Self::ForeignSecret, Self::Invisible];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::ForeignSecret => "foreign_secret",
            Self::Invisible => "invisible",
        }
    }
}

/// The signs of one answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Flags {
    foreign_secret: bool,
    invisible: bool,
}

impl Flags {
    pub(super) fn set(&mut self, flag: Flag) {
        match flag {
            Flag::ForeignSecret => self.foreign_secret = true,
            Flag::Invisible => self.invisible = true,
        }
    }

    /// Their names.
    pub fn names(self) -> Vec<&'static str> {
        let all = [(self.foreign_secret, Flag::ForeignSecret), (self.invisible, Flag::Invisible)];
        all.into_iter().filter_map(|(set, flag)| set.then_some(flag.as_str())).collect()
    }

    /// The answer, with the signs in its result's `_meta`; as it is when there are none, or when it is an error.
    pub(super) fn mark(self, mut answer: Vec<u8>) -> Vec<u8> {
        let names = self.names();
        if names.is_empty() {
            return answer;
        }
        let marked = || {
            let message = Message::parse(&answer, Limits::ANSWER).ok()?;
            let result = message.result()?;
            let start = result.as_ptr() as usize - message.text().as_ptr() as usize;
            // Read into maps: what a server says twice, or in our name, does not stand beside the sign.
            let mut fields: Fields = serde_json::from_str(result).ok()?;
            let meta = fields.get("_meta").and_then(|meta| serde_json::from_str::<Fields>(meta.get()).ok());
            let mut meta = meta.unwrap_or_default();
            meta.insert(MARK.to_owned(), to_raw_value(&names).ok()?);
            fields.insert("_meta".to_owned(), to_raw_value(&meta).ok()?);
            Some((start..start + result.len(), serde_json::to_vec(&fields).ok()?))
        };
        if let Some((place, result)) = marked() {
            answer.splice(place, result);
        }
        answer
    }
}

/// An object of which only the names are read.
type Fields = BTreeMap<String, Box<RawValue>>;

/// Whether JSON text holds characters without width, marks that turn the direction of reading, or tags, as they are or as
/// escapes. Those that ordinary writing needs (joiners in emoji and in Indic and Persian words, left-to-right marks) are fine.
pub(super) fn invisible(text: &[u8]) -> bool {
    // Most answers are plain ASCII, and most of those without an escape: both are found out fast.
    let plain = !text.is_ascii() && std::str::from_utf8(text).is_ok_and(unseen);
    plain || escaped(text)
}

/// A selector chooses between two forms of the character before it; one after another says something else.
fn unseen(text: &str) -> bool {
    let mut before = false;
    text.chars().any(|c| {
        let again = std::mem::replace(&mut before, selector(c));
        hidden(c) || (again && before)
    })
}

fn selector(c: char) -> bool {
    matches!(c, '\u{fe00}'..='\u{fe0f}' | '\u{e0100}'..='\u{e01ef}')
}

fn hidden(c: char) -> bool {
    matches!(c, '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{feff}' | '\u{ffa0}' | '\u{e0000}'..='\u{e007f}')
}

fn escaped(text: &[u8]) -> bool {
    let mut rest = text;
    // Bytes behind the last selector that was escaped.
    let mut behind = None;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        let follows = behind == Some(rest.len() - at);
        rest = &rest[at + 1..];
        let unit = rest.strip_prefix(b"u").and_then(|rest| std::str::from_utf8(rest.get(..4)?).ok());
        let unit = unit.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        // Of the tags the first half of a pair is enough.
        if unit.is_some_and(|unit| unit == 0xdb40 || char::from_u32(unit).is_some_and(hidden)) {
            return true;
        }
        // Two forms of a character are common, the others are not, and nothing needs two at once.
        if let Some(selector) = unit.and_then(char::from_u32).filter(|c| selector(*c)) {
            if follows || !matches!(selector, '\u{fe0e}' | '\u{fe0f}') {
                return true;
            }
            behind = Some(rest.len() - 5);
        }
        // An escaped backslash begins no escape.
        rest = rest.get(1..).unwrap_or_default();
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_stands_beside_whatever_else_is_said() {
        let mut flags = Flags::default();
        let marked = |flags: Flags, result: &str| -> serde_json::Value {
            let answer = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,{result}}}");
            serde_json::from_slice(&flags.mark(answer.into_bytes())).expect("it is JSON still")
        };
        assert_eq!(marked(flags, r#""result":{"a":1}"#)["result"], serde_json::json!({"a": 1}), "nothing to mark");
        flags.set(Flag::Invisible);
        let mark = serde_json::json!(["invisible"]);
        for (result, rest) in [
            (r#""result":{"a":1}"#, serde_json::json!({"a": 1})),
            (r#""result":{ }"#, serde_json::json!({})),
            (r#""result":{"a":1,"_meta":{}}"#, serde_json::json!({"a": 1})),
            (r#""result":{"x":{"_meta":{"y":1}},"_meta": {"k":2}}"#, serde_json::json!({"x": {"_meta": {"y": 1}}})),
            // Who would rather not be marked.
            (r#""result":{"_meta":{"io.agentopia/flags":[]}}"#, serde_json::json!({})),
            (r#""result":{"_meta":{"io.agentopia/flags":1,"io.agentopia\/flags":[]}}"#, serde_json::json!({})),
            (r#""result":{"a":1,"_meta":null}"#, serde_json::json!({"a": 1})),
            (r#""result":{"a":1,"_meta":5}"#, serde_json::json!({"a": 1})),
        ] {
            let mut seen = marked(flags, result)["result"].take();
            assert_eq!(seen["_meta"][MARK], mark, "{result}");
            let meta = seen.as_object_mut().and_then(|seen| seen.remove("_meta")).expect("marked");
            assert_eq!(meta.get("k").is_some(), result.contains("\"k\""), "what it said itself stays");
            assert_eq!(seen, rest);
        }
        assert!(marked(flags, r#""error":{"code":1,"message":"m"}"#)["error"]["_meta"].is_null());
    }

    #[test]
    fn what_is_not_seen_is_found_and_ordinary_writing_is_not() {
        for text in [
            "a\u{200b}b",
            "\u{202e}txt",
            "x\u{2066}y",
            "\u{feff}",
            "\u{e0041}\u{e0042}",
            "😀\u{e0148}\u{e0155}",
            "a\u{fe01}\u{fe02}",
            "\u{3164}",
            r"\ufe01",
            r"\ufe0f\ufe0e",
            r"a\u200Bb",
            r"\udb40\udc41",
            r"\\\u202e",
        ] {
            assert!(invisible(text.as_bytes()), "{text:?}");
        }
        for text in [
            "plain",
            "größe",
            "葛\u{e0100}城",
            "❤\u{fe0f}\u{200d}🔥",
            "👩\u{200d}💻",
            "می\u{200c}خواهم",
            r"\\u200b",
            r"\u2764\ufe0f \u2764\ufe0f",
            r"\n\u00e9\u2014",
            r"\u20",
            "\\",
        ] {
            assert!(!invisible(text.as_bytes()), "{text:?}");
        }
    }
}
