use super::checked::Token;
use ring::digest::{SHA256, digest};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

/// Tokens whose signature was found good. Only such are kept, so nobody without a key can fill it.
const CAPACITY: usize = 256;

type Digest = [u8; 32];

#[derive(Default)]
pub(super) struct Cache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    tokens: HashMap<Digest, (u64, Arc<Token>)>,
    /// Counts looks; an entry remembers its last.
    looks: u64,
}

impl Cache {
    pub(super) fn digest(token: &str) -> Digest {
        let mut bytes = Digest::default();
        bytes.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        bytes
    }

    pub(super) fn get(&self, digest: &Digest) -> Option<Arc<Token>> {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        entries.looks += 1;
        let looks = entries.looks;
        let (last, token) = entries.tokens.get_mut(digest)?;
        *last = looks;
        Some(token.clone())
    }

    /// Makes room by dropping what has expired, then what was not looked at for longest.
    pub(super) fn insert(&self, digest: Digest, token: Arc<Token>, now: i64) {
        let mut entries = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.tokens.len() >= CAPACITY {
            entries.tokens.retain(|_, (_, token)| token.claims.exp > now);
        }
        if entries.tokens.len() >= CAPACITY {
            let oldest = entries.tokens.iter().min_by_key(|(_, (last, _))| *last);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                entries.tokens.remove(&oldest);
            }
        }
        let looks = entries.looks;
        // Two calls may have opened the same token at once: the counter of the first stays.
        entries.tokens.entry(digest).or_insert((looks, token));
    }
}
