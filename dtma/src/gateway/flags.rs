//! Signs that an answer is not what it seems: it held what another server was given, or characters that a person does not
//! see and a model reads. The answer goes on (what was a secret is removed anyhow); the sign is logged and counted.

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

/// Whether JSON text holds characters without width, marks that turn the direction of reading, or tags, as they are or as
/// escapes. Those that ordinary writing needs (joiners in emoji and in Indic and Persian words, left-to-right marks) are fine.
pub(super) fn invisible(text: &[u8]) -> bool {
    // Most answers are plain ASCII, and most of those without an escape: both are found out fast.
    let plain = !text.is_ascii() && std::str::from_utf8(text).is_ok_and(|text| text.chars().any(hidden));
    plain || escaped(text)
}

fn hidden(c: char) -> bool {
    matches!(c, '\u{200b}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{2066}'..='\u{2069}' | '\u{feff}'
        | '\u{e0000}'..='\u{e007f}')
}

fn escaped(text: &[u8]) -> bool {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|b| *b == b'\\') {
        rest = &rest[at + 1..];
        let unit = rest.strip_prefix(b"u").and_then(|rest| std::str::from_utf8(rest.get(..4)?).ok());
        let unit = unit.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        // Of the tags the first half of a pair is enough.
        if unit.is_some_and(|unit| unit == 0xdb40 || char::from_u32(unit).is_some_and(hidden)) {
            return true;
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
    fn what_is_not_seen_is_found_and_ordinary_writing_is_not() {
        for text in [
            "a\u{200b}b",
            "\u{202e}txt",
            "x\u{2066}y",
            "\u{feff}",
            "\u{e0041}\u{e0042}",
            r"a\u200Bb",
            r"\udb40\udc41",
            r"\\\u202e",
        ] {
            assert!(invisible(text.as_bytes()), "{text:?}");
        }
        for text in ["plain", "größe", "👩\u{200d}💻", "می\u{200c}خواهم", r"\\u200b", r"\n\u00e9\u2014", r"\u20", "\\"]
        {
            assert!(!invisible(text.as_bytes()), "{text:?}");
        }
    }
}
