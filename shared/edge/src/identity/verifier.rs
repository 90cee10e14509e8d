//! Checks users' tokens: Supabase Auth's, or those of the local account service, which look the same.

use super::jwks::{Keys, Source};
use crate::Error;
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use protocol::{chat::Secret, ids::UserId};
use serde::Deserialize;
use std::sync::Arc;

/// Clocks differ a little.
const LEEWAY: i64 = 5;

#[derive(Clone)]
pub struct Verifier(Arc<Inner>);

struct Inner {
    keys: Keys,
    /// The legacy shared secret of a Supabase project; only when configured.
    shared: Option<DecodingKey>,
    issuer: Option<String>,
}

#[derive(Deserialize)]
struct Header {
    alg: Algorithm,
    #[serde(default)]
    kid: Option<String>,
    /// Extensions that a verifier must understand (RFC 7515, 4.1.11): we understand none.
    #[serde(default)]
    crit: Option<serde_json::Value>,
}

#[derive(Deserialize)]
struct Claims {
    sub: UserIdText,
    aud: Audience,
    role: String,
    exp: i64,
    #[serde(default)]
    nbf: Option<i64>,
    #[serde(default)]
    iss: Option<String>,
}

type UserIdText = String;

#[derive(Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

impl Audience {
    fn has(&self, wanted: &str) -> bool {
        match self {
            Self::One(one) => one == wanted,
            Self::Many(many) => many.iter().any(|one| one == wanted),
        }
    }
}

impl Verifier {
    /// Keys from a JWKS address, e.g. `https://<project>.supabase.co/auth/v1/.well-known/jwks.json`.
    pub fn jwks(url: impl Into<String>) -> Self {
        Self::new(Source::Url(url.into()))
    }

    /// Keys that are known: a JWK set as JSON.
    pub fn fixed(set: &jsonwebtoken::jwk::JwkSet) -> Self {
        Self::new(Source::Fixed(set.clone()))
    }

    fn new(source: Source) -> Self {
        Self(Arc::new(Inner { keys: Keys::new(source), shared: None, issuer: None }))
    }

    /// Tokens must name this issuer.
    pub fn with_issuer(self, issuer: impl Into<String>) -> Self {
        self.change(|inner| inner.issuer = Some(issuer.into()))
    }

    /// Also takes HS256 tokens of a project that still has a shared secret.
    pub fn with_shared_secret(self, secret: &Secret) -> Self {
        self.change(|inner| inner.shared = Some(DecodingKey::from_secret(secret.expose().as_bytes())))
    }

    fn change(self, change: impl FnOnce(&mut Inner)) -> Self {
        let mut inner = Arc::into_inner(self.0).expect("a verifier is configured before it is shared");
        change(&mut inner);
        Self(Arc::new(inner))
    }

    /// The user whom the token stands for. Which check failed is not told to the caller, only logged.
    pub async fn verify(&self, token: &str, now: i64) -> Result<UserId, Error> {
        match self.check(token, now).await {
            Ok(id) => Ok(id),
            Err(Refusal::KeysUnavailable) => Err(Error::unavailable(
                "The keys that tokens are checked with cannot be fetched.",
                "Try again in a few seconds.",
            )),
            Err(Refusal::Token(why)) => {
                tracing::debug!(why, "user token refused");
                Err(Error::unauthorized("Sign in again; `agentopia token` prints a fresh token."))
            }
        }
    }

    async fn check(&self, token: &str, now: i64) -> Result<UserId, Refusal> {
        let header: Header = header(token).ok_or(Refusal::Token("no JWT"))?;
        if header.crit.is_some() {
            return Err(Refusal::Token("a critical extension"));
        }
        let key = match header.alg {
            Algorithm::ES256 | Algorithm::RS256 => {
                let kid = header.kid.ok_or(Refusal::Token("no kid"))?;
                self.0.keys.find(&kid, header.alg, now).await?
            }
            Algorithm::HS256 => self.0.shared.clone().ok_or(Refusal::Token("HS256 is not configured"))?,
            _ => return Err(Refusal::Token("an algorithm that is not taken")),
        };
        // Only the signature here; time and audience below, by our clock.
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.required_spec_claims.clear();
        let claims: Claims =
            jsonwebtoken::decode(token, &key, &validation).map_err(|_| Refusal::Token("signature or claims"))?.claims;
        if claims.exp + LEEWAY <= now || claims.nbf.is_some_and(|nbf| nbf > now + LEEWAY) {
            return Err(Refusal::Token("time"));
        }
        if !claims.aud.has("authenticated") || claims.role != "authenticated" {
            return Err(Refusal::Token("audience or role"));
        }
        if self.0.issuer.is_some() && claims.iss != self.0.issuer {
            return Err(Refusal::Token("issuer"));
        }
        claims.sub.parse().map_err(|_| Refusal::Token("subject"))
    }
}

pub(super) enum Refusal {
    Token(&'static str),
    KeysUnavailable,
}

fn header(token: &str) -> Option<Header> {
    use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut parts = token.split('.');
    let (head, _, _, None) = (parts.next()?, parts.next()?, parts.next()?, parts.next()) else { return None };
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(head).ok()?).ok()
}

#[cfg(test)]
mod tests;
