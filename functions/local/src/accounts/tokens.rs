//! The two tokens of a session: an access token (a JWT that anybody can check by the key set) and a refresh token.

use super::{error::Error, wire::Session};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet, KeyAlgorithm, PublicKeyUse, ThumbprintHash},
};
use protocol::ids::{SessionId, UserId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// Seconds that an access token is good for.
pub const LIFE: i64 = 3600;

pub struct Signer {
    key: EncodingKey,
    header: Header,
    set: JwkSet,
    issuer: String,
}

/// What an access token says, as far as this service asks.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    pub sub: UserId,
    pub session_id: SessionId,
}

impl Signer {
    /// `der`: PKCS#8 of a P-256 key. `issuer`: where this service is, `http://…/auth/v1`.
    pub fn from_pkcs8(der: &[u8], issuer: impl Into<String>) -> Result<Self, Error> {
        let internal = |error: jsonwebtoken::errors::Error| Error::Internal(Box::new(error));
        let key = EncodingKey::from_ec_der(der);
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(internal)?;
        let kid = jwk.thumbprint(ThumbprintHash::SHA256).map_err(internal)?;
        jwk.common.key_id = Some(kid.clone());
        jwk.common.key_algorithm = Some(KeyAlgorithm::ES256);
        jwk.common.public_key_use = Some(PublicKeyUse::Signature);
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(kid);
        Ok(Self { key, header, set: JwkSet { keys: vec![jwk] }, issuer: issuer.into() })
    }

    pub fn set(&self) -> &JwkSet {
        &self.set
    }

    pub fn issuer(&self) -> &str {
        &self.issuer
    }

    /// A session as the client keeps it. `user` is the account as the database tells it.
    pub fn session(&self, user: Value, id: SessionId, refresh_token: String, now: i64) -> Result<Session, Error> {
        let claims = json!({
            "iss": self.issuer,
            "sub": user["id"],
            "aud": "authenticated",
            "iat": now,
            "exp": now + LIFE,
            "email": user["email"],
            "phone": "",
            "app_metadata": user["app_metadata"],
            "user_metadata": user["user_metadata"],
            "role": "authenticated",
            "aal": "aal1",
            "amr": [{"method": "password", "timestamp": now}],
            "session_id": id,
            "is_anonymous": false,
        });
        let access_token =
            jsonwebtoken::encode(&self.header, &claims, &self.key).map_err(|error| Error::Internal(Box::new(error)))?;
        Ok(Session {
            access_token,
            token_type: "bearer",
            expires_in: LIFE,
            expires_at: now + LIFE,
            refresh_token,
            user,
        })
    }
}

/// A new refresh token: 32 random bytes.
pub fn refresh() -> String {
    BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>())
}

/// What is stored of it. A random token needs no slow hash.
pub fn hash(token: &str) -> String {
    let digest = Sha256::digest(token.as_bytes());
    digest.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The claims of a token that was verified a moment ago.
pub fn claims(verified: &str) -> Option<Claims> {
    let body = verified.split('.').nth(1)?;
    serde_json::from_slice(&BASE64_URL_SAFE_NO_PAD.decode(body).ok()?).ok()
}
