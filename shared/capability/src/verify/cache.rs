use super::checked::Token;
use ring::digest::{SHA256, digest};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, atomic::AtomicU64},
};

/// Tokens whose signature was found good. Only such are kept, so nobody without a key can fill it.
const CAPACITY: usize = 256;
/// Counts that are kept. One that has ended makes room first, then the one that ends soonest.
const COUNTS: usize = 65_536;

type Digest = [u8; 32];

#[derive(Default)]
pub(super) struct Cache(Mutex<Entries>);

#[derive(Default)]
struct Entries {
    tokens: HashMap<Digest, (u64, Arc<Token>)>,
    /// How many calls each token has made, and when it ends. It outlives the token's entry above: whoever shows many tokens
    /// in turn gets none of them a fresh count.
    calls: HashMap<Digest, (i64, Arc<AtomicU64>)>,
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

    /// Makes room by dropping what has expired, then what was not looked at for longest. Two calls may have opened the same
    /// token at once: both get the one that stays.
    pub(super) fn insert(&self, digest: Digest, mut token: Token, now: i64) -> Arc<Token> {
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
        token.calls = entries.count(digest, token.claims.exp, now);
        let looks = entries.looks;
        entries.tokens.entry(digest).or_insert_with(|| (looks, Arc::new(token))).1.clone()
    }
}

impl Entries {
    fn count(&mut self, digest: Digest, end: i64, now: i64) -> Arc<AtomicU64> {
        if self.calls.len() >= COUNTS && !self.calls.contains_key(&digest) {
            self.calls.retain(|_, (end, _)| *end > now);
        }
        if self.calls.len() >= COUNTS && !self.calls.contains_key(&digest) {
            let soonest = self.calls.iter().min_by_key(|(_, (end, _))| *end).map(|(digest, _)| *digest);
            soonest.map(|soonest| self.calls.remove(&soonest));
        }
        self.calls.entry(digest).or_insert_with(|| (end, Arc::default())).1.clone()
    }
}
