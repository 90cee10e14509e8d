//! Verifying capabilities: the toolbox's side. No request to anybody, and no lock that is held for longer than a look.

mod cache;
mod checked;
mod clock;
mod revoked;

pub use checked::Checked;
pub use revoked::OlderRevocations;

use crate::{CONTROL_PLANE, KeyError, MAX_LIFE, MAX_TOKEN, PublicKey, Refusal, jws, mint};
use cache::Cache;
use checked::Token;
use clock::Clock;
use protocol::{capability::Claims, ids::*, toolbox::Revocations};
use revoked::Revoked;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, PoisonError, RwLock},
};

const NOT_BEFORE_LEEWAY: i64 = 30;

/// Knows one toolbox's identity, the keys pinned to it and what was revoked. Cheap to clone; clones share all of it.
#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    audience: String,
    owner: UserId,
    keys: RwLock<HashMap<String, PublicKey>>,
    revoked: RwLock<Option<Revoked>>,
    clock: Clock,
    cache: Cache,
}

impl Verifier {
    /// `keys`: key id to Ed25519 public key, as the enrolment gave them.
    pub fn new(keys: &BTreeMap<String, String>, toolbox: ToolboxId, owner: UserId) -> Result<Self, KeyError> {
        Ok(Self(Arc::new(Inner {
            audience: mint::audience(toolbox),
            owner,
            keys: RwLock::new(parse_keys(keys)?),
            revoked: RwLock::new(None),
            clock: Clock::new(),
            cache: Cache::default(),
        })))
    }

    /// Replaces the pinned keys; tokens under a key that is gone are refused at once, cached or not.
    /// An empty map is an error and changes nothing.
    pub fn set_keys(&self, keys: &BTreeMap<String, String>) -> Result<(), KeyError> {
        let keys = parse_keys(keys)?;
        *self.0.keys.write().unwrap_or_else(PoisonError::into_inner) = keys;
        Ok(())
    }

    /// Takes the control plane's time (seconds since the epoch) as the least that it can be from now on.
    pub fn observe(&self, now: i64) {
        self.0.clock.observe(now);
    }

    /// `now`, or the control plane's time where that is later.
    pub fn time(&self, now: i64) -> i64 {
        self.0.clock.at_least(now)
    }

    /// Replaces the list as a whole. `at` is the control plane's time of the reply that carried it, which is observed too.
    pub fn set_revocations(&self, list: &Revocations, at: i64) -> Result<(), OlderRevocations> {
        self.observe(at);
        let mut held = self.0.revoked.write().unwrap_or_else(PoisonError::into_inner);
        *held = Some(Revoked::after(held.as_ref(), list, at)?);
        Ok(())
    }

    /// Everything that does not depend on what is called. The signature is computed once for each token and remembered;
    /// all else is decided anew each time.
    pub fn verify(&self, token: &str, now: i64) -> Result<Arc<Checked>, Refusal> {
        if token.len() > MAX_TOKEN {
            return Err(Refusal::TooLarge);
        }
        let digest = Cache::digest(token);
        let (token, read_only) = match self.0.cache.get(&digest) {
            Some(found) => {
                let read_only = self.check(&found, now)?;
                (found, read_only)
            }
            None => {
                let opened = self.open(token)?;
                let read_only = self.check(&opened, now)?;
                (self.0.cache.insert(digest, opened, self.time(now)), read_only)
            }
        };
        Ok(Arc::new(Checked { token, read_only }))
    }

    /// Asks again about a token that was found good: before each step of a long call, or when revocations arrived.
    pub fn recheck(&self, checked: &Checked, now: i64) -> Result<(), Refusal> {
        self.check(&checked.token, now).map(|_| ())
    }

    fn open(&self, token: &str) -> Result<Token, Refusal> {
        let parts = jws::parse(token, mint::TYPE, MAX_TOKEN)?;
        let key = self.key(&parts.kid).ok_or(Refusal::UnknownKey)?;
        let claims: Claims = parts.open(&key)?;
        Token::new(token, claims, parts.kid, key)
    }

    /// True when only reading is allowed.
    fn check(&self, token: &Token, now: i64) -> Result<bool, Refusal> {
        if self.key(&token.kid) != Some(token.key) {
            return Err(Refusal::UnknownKey);
        }
        let claims = &token.claims;
        let ours = claims.iss == CONTROL_PLANE && claims.aud == self.0.audience && claims.own == self.0.owner;
        if !ours {
            return Err(Refusal::Audience);
        }
        let now = self.time(now);
        if claims.nbf > now + NOT_BEFORE_LEEWAY || claims.iat > now + NOT_BEFORE_LEEWAY {
            return Err(Refusal::NotYet);
        }
        if now >= claims.exp || claims.exp.saturating_sub(claims.iat) > MAX_LIFE {
            return Err(Refusal::Expired);
        }
        let revoked = self.0.revoked.read().unwrap_or_else(PoisonError::into_inner);
        let Some(revoked) = revoked.as_ref() else { return Ok(true) };
        if revoked.contains(claims, token.agent) {
            return Err(Refusal::Revoked);
        }
        Ok(revoked.is_stale(now))
    }

    pub(crate) fn key(&self, kid: &str) -> Option<PublicKey> {
        self.0.keys.read().unwrap_or_else(PoisonError::into_inner).get(kid).copied()
    }

    pub(crate) fn audience(&self) -> &str {
        &self.0.audience
    }
}

fn parse_keys(keys: &BTreeMap<String, String>) -> Result<HashMap<String, PublicKey>, KeyError> {
    if keys.is_empty() {
        return Err(KeyError::None);
    }
    keys.iter().map(|(kid, key)| Ok((kid.clone(), key.parse()?))).collect()
}
