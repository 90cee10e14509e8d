//! Random texts that are given out once and known again by their hash: enrolment tokens and API keys.

use crate::Error;
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

/// A prefix and 32 random bytes as text. It is shown once; the database knows its hash.
pub struct Token(String);

impl Token {
    /// `prefix` says in a log or a terminal what the text is, and lets a scanner for leaked secrets find it.
    pub fn generate(prefix: &str) -> Result<Self, Error> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("the system gives no random numbers"))?;
        Ok(Self(format!("{prefix}{}", hex(&bytes))))
    }

    pub fn hash(&self) -> String {
        hash(&self.0)
    }

    pub fn into_text(self) -> String {
        self.0
    }
}

/// The token is random in full, so a plain hash is as good as a slow one.
pub fn hash(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
