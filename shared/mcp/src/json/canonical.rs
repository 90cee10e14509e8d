//! RFC 8785: one byte string for one JSON value. Made from the text itself, not from a tree, because the tree's reader
//! rounds numbers its own way.

use super::{Limits, Refused, Scanner};
use sha2::{Digest, Sha256};
use std::{borrow::Cow, fmt::Write};

/// The canonical form of a JSON text (RFC 8785). Numbers are IEEE 754 doubles there, as in every JavaScript client.
pub fn canonical(text: &str) -> Result<String, Refused> {
    let mut scanner = Scanner::new(text.as_bytes(), Limits::REQUEST)?;
    let mut out = String::with_capacity(text.len());
    value(&mut scanner, &mut out)?;
    scanner.end()?;
    Ok(out)
}

/// SHA-256 over the canonical form, lower-case hex.
pub fn digest(text: &str) -> Result<String, Refused> {
    let hash = Sha256::digest(canonical(text)?.as_bytes());
    Ok(hash.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String does not fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    }))
}

fn value(scanner: &mut Scanner<'_>, out: &mut String) -> Result<(), Refused> {
    match scanner.peek() {
        b'{' => object(scanner, out),
        b'[' => {
            out.push('[');
            let mut first = true;
            scanner.array(&mut |scanner| {
                if !std::mem::take(&mut first) {
                    out.push(',');
                }
                value(scanner, out)
            })?;
            out.push(']');
            Ok(())
        }
        b'"' => {
            let span = scanner.string()?;
            string(&scanner.unquote(&span)?, out);
            Ok(())
        }
        b't' | b'f' | b'n' => {
            let span = scanner.value()?;
            out.push_str(&scanner.text()[span]);
            Ok(())
        }
        _ => {
            let span = scanner.value()?;
            let read = scanner.text()[span.clone()].parse().map_err(|_| Refused::Syntax(span.start))?;
            number(read, out);
            Ok(())
        }
    }
}

fn object(scanner: &mut Scanner<'_>, out: &mut String) -> Result<(), Refused> {
    let mut members: Vec<(Cow<'_, str>, String)> = Vec::new();
    scanner.object(&mut |scanner, key| {
        let mut member = String::new();
        value(scanner, &mut member)?;
        members.push((key, member));
        Ok(())
    })?;
    // Section 3.2.3: by UTF-16 code units, which differs from UTF-8 order above U+FFFF.
    members.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
    out.push('{');
    for (i, (key, member)) in members.iter().enumerate() {
        if i > 0 {
            out.push(',');
        }
        string(key, out);
        out.push(':');
        out.push_str(member);
    }
    out.push('}');
    Ok(())
}

fn string(s: &str, out: &mut String) {
    out.push('"');
    for c in s.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\u{8}' => out.push_str("\\b"),
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\u{c}' => out.push_str("\\f"),
            '\r' => out.push_str("\\r"),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

/// ECMAScript's Number::toString (ECMA-262, 6.1.6.1.20): the shortest digits that read back as the same double, the even
/// one of two that are equally near.
fn number(n: f64, out: &mut String) {
    if n == 0.0 {
        return out.push('0'); // also for -0
    }
    let (digits, point) = shortest(n.abs());
    let k = digits.len() as i32;
    if n < 0.0 {
        out.push('-');
    }
    let zeros = |count: i32| "0".repeat(usize::try_from(count).unwrap_or(0));
    if k <= point && point <= 21 {
        out.push_str(&digits);
        out.push_str(&zeros(point - k));
    } else if 0 < point && point <= 21 {
        let (whole, fraction) = digits.split_at(point as usize);
        let _ = write!(out, "{whole}.{fraction}");
    } else if -6 < point && point <= 0 {
        let _ = write!(out, "0.{}{digits}", zeros(-point));
    } else {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let _ = write!(out, "{first}{dot}{rest}e{:+}", point - 1);
    }
}

/// Digits without zeros around them, and where the point stands, counted from their start. Taken from serde_json's
/// writer, because the standard library's takes the odd one of two that are equally near.
fn shortest(n: f64) -> (String, i32) {
    let text = serde_json::Number::from_f64(n).map(|n| n.to_string()).unwrap_or_default();
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let point = whole.len() as i32 + exponent.parse::<i32>().unwrap_or(0);
    let all = format!("{whole}{fraction}");
    let digits = all.trim_start_matches('0');
    let point = point - (all.len() - digits.len()) as i32;
    (digits.trim_end_matches('0').to_owned(), point)
}
