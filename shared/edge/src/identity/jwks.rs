//! Public keys by key id. Each key has one algorithm, which its own entry says, never the token.

use super::verifier::Refusal;
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, PublicKeyUse},
};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::sync::{Mutex, RwLock};

/// A set is fetched again after this time.
const FRESH: i64 = 600;
/// The least time between two fetches, whatever tokens say.
const PAUSE: i64 = 30;
/// A set is a few kilobytes.
const LARGEST: usize = 256 * 1024;

pub(super) enum Source {
    Url(String),
    Fixed(JwkSet),
}

type Set = Arc<HashMap<String, (Algorithm, DecodingKey)>>;

#[derive(Default)]
struct Cached {
    set: Set,
    /// When a fetch was last successful.
    at: Option<i64>,
}

pub(super) struct Keys {
    url: Option<String>,
    cached: RwLock<Cached>,
    /// When a fetch was last tried; its lock makes fetches single.
    tried: Mutex<Option<i64>>,
    client: std::sync::OnceLock<reqwest::Client>,
}

impl Keys {
    pub(super) fn new(source: Source) -> Self {
        let (url, set) = match source {
            Source::Url(url) => (Some(url), Set::default()),
            Source::Fixed(set) => (None, read(&set)),
        };
        Self {
            url,
            cached: RwLock::new(Cached { set, at: None }),
            tried: Mutex::default(),
            client: std::sync::OnceLock::new(),
        }
    }

    /// The key with this id, if it is for this algorithm.
    pub(super) async fn find(&self, kid: &str, algorithm: Algorithm, now: i64) -> Result<DecodingKey, Refusal> {
        let (mut set, at) = self.snapshot().await;
        let fresh = at.is_some_and(|at| (at..at + FRESH).contains(&now));
        if self.url.is_some() && !(fresh && set.contains_key(kid)) {
            self.refresh(now).await;
            let (newer, at) = self.snapshot().await;
            if at.is_none() {
                return Err(Refusal::KeysUnavailable);
            }
            set = newer;
        }
        match set.get(kid) {
            Some((own, key)) if *own == algorithm => Ok(key.clone()),
            Some(_) => Err(Refusal::Token("the key is for another algorithm")),
            None => Err(Refusal::Token("unknown kid")),
        }
    }

    async fn snapshot(&self) -> (Set, Option<i64>) {
        let cached = self.cached.read().await;
        (cached.set.clone(), cached.at)
    }

    /// Fetches the set unless that was tried a moment ago. A failure keeps the keys that are known.
    async fn refresh(&self, now: i64) {
        let Some(url) = &self.url else { return };
        let mut tried = self.tried.lock().await;
        if tried.is_some_and(|at| (at..at + PAUSE).contains(&now)) {
            return;
        }
        *tried = Some(now);
        match self.fetch(url).await {
            Ok(set) => *self.cached.write().await = Cached { set: read(&set), at: Some(now) },
            Err(error) => tracing::warn!(error = %error, "the key set cannot be fetched"),
        }
    }

    async fn fetch(&self, url: &str) -> Result<JwkSet, Box<dyn std::error::Error + Send + Sync>> {
        let client = self.client.get_or_init(|| {
            reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .redirect(reqwest::redirect::Policy::none())
                .build()
                .expect("a client with a time limit can be built")
        });
        let mut response = client.get(url).send().await?.error_for_status()?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await? {
            if body.len() + chunk.len() > LARGEST {
                return Err("the key set is too large".into());
            }
            body.extend_from_slice(&chunk);
        }
        Ok(serde_json::from_slice(&body)?)
    }
}

/// The usable keys of a set: signing keys with an id, of the two kinds that are taken. A kid that appears twice is nobody's.
fn read(set: &JwkSet) -> Set {
    let mut keys = HashMap::new();
    let mut twice = Vec::new();
    for jwk in &set.keys {
        if let (Some(kid), Some(entry)) = (jwk.common.key_id.clone(), usable(jwk))
            && keys.insert(kid.clone(), entry).is_some()
        {
            twice.push(kid);
        }
    }
    for kid in twice {
        keys.remove(&kid);
    }
    Arc::new(keys)
}

fn usable(jwk: &Jwk) -> Option<(Algorithm, DecodingKey)> {
    if jwk.common.public_key_use.as_ref().is_some_and(|purpose| *purpose != PublicKeyUse::Signature) {
        return None;
    }
    let (algorithm, named) = match &jwk.algorithm {
        AlgorithmParameters::EllipticCurve(ec) if ec.curve == EllipticCurve::P256 => {
            (Algorithm::ES256, KeyAlgorithm::ES256)
        }
        AlgorithmParameters::RSA(_) => (Algorithm::RS256, KeyAlgorithm::RS256),
        _ => return None,
    };
    if jwk.common.key_algorithm.is_some_and(|own| own != named) {
        return None;
    }
    Some((algorithm, DecodingKey::from_jwk(jwk).ok()?))
}
