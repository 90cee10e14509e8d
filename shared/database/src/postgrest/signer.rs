//! JWTs for callers that PostgREST does not know by a token of their own.

use crate::{Error, caller::Claims};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::chat::Secret;
use serde::Serialize;
use std::time::{SystemTime, UNIX_EPOCH};

/// A key that the project's PostgREST accepts: the shared JWT secret, or an imported ES256 key. It can sign as anybody.
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

/// Long enough for one call and a clock that is a little off.
const LIFE: u64 = 60;

#[derive(Serialize)]
struct Token<'a> {
    #[serde(flatten)]
    claims: &'a Claims,
    aud: &'static str,
    iat: u64,
    exp: u64,
}

impl Signer {
    /// With the project's shared JWT secret (HS256).
    pub fn shared(secret: &Secret) -> Self {
        Self { header: Header::new(Algorithm::HS256), key: EncodingKey::from_secret(secret.expose().as_bytes()) }
    }

    /// With a signing key of the project's (ES256, PKCS#8 PEM) and its id there.
    pub fn es256(kid: impl Into<String>, pem: &Secret) -> Result<Self, Error> {
        let key = EncodingKey::from_ec_pem(pem.expose().as_bytes()).map_err(Error::unexpected)?;
        Ok(Self { header: Header { kid: Some(kid.into()), ..Header::new(Algorithm::ES256) }, key })
    }

    pub(super) fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(Error::unexpected)?.as_secs();
        let token = Token { claims, aud: "authenticated", iat: now, exp: now + LIFE };
        jsonwebtoken::encode(&self.header, &token, &self.key).map_err(Error::unexpected)
    }
}
