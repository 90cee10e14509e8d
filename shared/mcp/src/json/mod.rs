//! Strict JSON: what is refused before anybody acts on it, and the canonical form that digests are made of.

mod canonical;
mod scan;
#[cfg(test)]
mod tests;

pub use canonical::{canonical, digest};
pub use scan::Scanner;

/// How much nesting and strictness a text is read with.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Deepest nesting of arrays and objects; the outermost is 1.
    pub depth: u16,
    /// Duplicate keys are refused in objects down to this depth.
    pub unique_to: u16,
}

impl Limits {
    /// For what comes from a client: no key twice, anywhere.
    pub const REQUEST: Self = Self { depth: 100, unique_to: u16::MAX };
    /// For what a server says: the envelope must be unambiguous, what is inside is only passed on.
    pub const ANSWER: Self = Self { depth: 100, unique_to: 2 };
}

/// Why a text is not accepted. Positions are byte offsets.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("not UTF-8")]
    NotUtf8,
    #[error("starts with a byte order mark")]
    ByteOrderMark,
    #[error("not JSON, at byte {0}")]
    Syntax(usize),
    #[error("nested too deep")]
    TooDeep,
    #[error("a key stands twice in one object, at byte {0}")]
    DuplicateKey(usize),
    #[error("a number is too large or too long, at byte {0}")]
    HugeNumber(usize),
    #[error("a batch; send one message at a time")]
    Batch,
    #[error("not a JSON-RPC 2.0 message: {0}")]
    Envelope(&'static str),
}
