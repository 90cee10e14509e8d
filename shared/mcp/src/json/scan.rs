//! One pass over a JSON text that checks its grammar and our bounds and tells where things stand, without building
//! a tree. Everything later works on the spans, so what is authorised is byte for byte what is sent on.

use super::{Limits, Refused};
use std::{borrow::Cow, collections::HashSet, ops::Range};

/// Longest text of a number. No double needs more than 25 digits; some writers pad.
const NUMBER: usize = 64;
/// From how many keys on an object's keys are looked up by hash.
const MANY: usize = 16;

type Span = Range<usize>;
/// Takes one member of an object: the scanner stands behind the colon.
type Member<'f, 'a> = dyn FnMut(&mut Scanner<'a>, Cow<'a, str>) -> Result<(), Refused> + 'f;

pub struct Scanner<'a> {
    text: &'a str,
    at: usize,
    depth: u16,
    limits: Limits,
    /// Keys of the objects that are open, outermost first.
    keys: Vec<Cow<'a, str>>,
}

impl<'a> Scanner<'a> {
    pub fn new(bytes: &'a [u8], limits: Limits) -> Result<Self, Refused> {
        if bytes.starts_with(b"\xef\xbb\xbf") || bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
            return Err(Refused::ByteOrderMark);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| Refused::NotUtf8)?;
        Ok(Self { text, at: 0, depth: 0, limits, keys: Vec::with_capacity(MANY) })
    }

    pub fn text(&self) -> &'a str {
        self.text
    }

    /// The next byte that is not white space; 0 at the end.
    pub fn peek(&mut self) -> u8 {
        let bytes = self.text.as_bytes();
        while let Some(b) = bytes.get(self.at) {
            if !matches!(b, b' ' | b'\t' | b'\n' | b'\r') {
                return *b;
            }
            self.at += 1;
        }
        0
    }

    /// Nothing but white space is left.
    pub fn end(&mut self) -> Result<(), Refused> {
        self.peek();
        if self.at == self.text.len() { Ok(()) } else { self.syntax() }
    }

    /// Any value, whatever it is.
    pub fn skip(&mut self) -> Result<(), Refused> {
        self.value().map(drop)
    }

    /// Any value; where it stands.
    pub fn value(&mut self) -> Result<Span, Refused> {
        match self.peek() {
            b'{' => self.object(&mut |scanner, _| scanner.skip()),
            b'[' => self.array(&mut Self::skip),
            b'"' => self.string(),
            b't' => self.literal("true"),
            b'f' => self.literal("false"),
            b'n' => self.literal("null"),
            b'-' | b'0'..=b'9' => self.number(),
            _ => self.syntax(),
        }
    }

    /// An object. `member` is called behind each key's colon and must take the value.
    pub fn object(&mut self, member: &mut Member<'_, 'a>) -> Result<Span, Refused> {
        let start = self.open(b'{')?;
        let base = self.keys.len();
        let mut many = HashSet::new();
        if self.peek() != b'}' {
            loop {
                self.peek();
                let at = self.at;
                let span = self.string()?;
                let key = self.unquote(&span)?;
                if self.depth <= self.limits.unique_to {
                    self.only(base, &mut many, key.clone(), at)?;
                }
                if self.peek() != b':' {
                    return self.syntax();
                }
                self.at += 1;
                member(self, key)?;
                match self.peek() {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return self.syntax(),
                }
            }
        }
        self.keys.truncate(base);
        Ok(self.close(start))
    }

    /// An array. `item` must take each value.
    pub fn array(&mut self, item: &mut dyn FnMut(&mut Self) -> Result<(), Refused>) -> Result<Span, Refused> {
        let start = self.open(b'[')?;
        if self.peek() != b']' {
            loop {
                item(self)?;
                match self.peek() {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return self.syntax(),
                }
            }
        }
        Ok(self.close(start))
    }

    /// The text of a string that `string` or `value` found, escapes resolved.
    pub fn unquote(&self, span: &Span) -> Result<Cow<'a, str>, Refused> {
        let quoted = &self.text[span.clone()];
        let inner = &quoted[1..quoted.len() - 1];
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Ok(Cow::Borrowed(inner));
        }
        serde_json::from_str::<String>(quoted).map(Cow::Owned).map_err(|_| Refused::Syntax(span.start))
    }

    /// A string, quotes included.
    pub fn string(&mut self) -> Result<Span, Refused> {
        if self.peek() != b'"' {
            return self.syntax();
        }
        let bytes = self.text.as_bytes();
        let start = self.at;
        let mut at = start + 1;
        loop {
            let Some(step) = memchr::memchr2(b'"', b'\\', &bytes[at..]) else { return Err(Refused::Syntax(start)) };
            // A fold instead of `any`: it has no early exit, so it becomes vector code.
            if bytes[at..at + step].iter().fold(false, |bad, b| bad | (*b < 0x20)) {
                return Err(Refused::Syntax(at));
            }
            at += step;
            if bytes[at] == b'"' {
                self.at = at + 1;
                return Ok(start..self.at);
            }
            at += match bytes.get(at + 1) {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => 2,
                Some(b'u') if bytes.len() > at + 6 && bytes[at + 2..at + 6].iter().all(u8::is_ascii_hexdigit) => 6,
                _ => return Err(Refused::Syntax(at)),
            };
        }
    }

    fn number(&mut self) -> Result<Span, Refused> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        let digits = |mut at: usize| {
            let from = at;
            while bytes.get(at).is_some_and(u8::is_ascii_digit) {
                at += 1;
            }
            (at > from).then_some(at).ok_or(Refused::Syntax(from))
        };
        let mut at = start + usize::from(bytes[start] == b'-');
        at = if bytes.get(at) == Some(&b'0') { at + 1 } else { digits(at)? };
        if bytes.get(at) == Some(&b'.') {
            at = digits(at + 1)?;
        }
        let exponent = matches!(bytes.get(at), Some(b'e' | b'E'));
        if exponent {
            at = digits(at + 1 + usize::from(matches!(bytes.get(at + 1), Some(b'+' | b'-'))))?;
        }
        if at - start > NUMBER || (exponent && !self.text[start..at].parse::<f64>().is_ok_and(f64::is_finite)) {
            return Err(Refused::HugeNumber(start));
        }
        self.at = at;
        Ok(start..at)
    }

    fn literal(&mut self, word: &str) -> Result<Span, Refused> {
        if !self.text.as_bytes()[self.at..].starts_with(word.as_bytes()) {
            return self.syntax();
        }
        let start = self.at;
        self.at += word.len();
        Ok(start..self.at)
    }

    fn open(&mut self, bracket: u8) -> Result<usize, Refused> {
        if self.peek() != bracket {
            return self.syntax();
        }
        if self.depth == self.limits.depth {
            return Err(Refused::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        Ok(self.at - 1)
    }

    fn close(&mut self, start: usize) -> Span {
        self.depth -= 1;
        self.at += 1;
        start..self.at
    }

    /// Remembers a key; refuses it when the open object has it already. Few keys are compared, many are hashed, so
    /// that a body full of keys costs no more than its length.
    fn only(
        &mut self,
        base: usize,
        many: &mut HashSet<Cow<'a, str>>,
        key: Cow<'a, str>,
        at: usize,
    ) -> Result<(), Refused> {
        let fresh = if self.keys.len() - base < MANY {
            let fresh = !self.keys[base..].contains(&key);
            self.keys.push(key);
            fresh
        } else {
            if many.is_empty() {
                many.extend(self.keys[base..].iter().cloned());
            }
            many.insert(key)
        };
        if fresh { Ok(()) } else { Err(Refused::DuplicateKey(at)) }
    }

    fn syntax<T>(&self) -> Result<T, Refused> {
        Err(Refused::Syntax(self.at))
    }
}
