//! Tokens and a context for route tests.

use crate::{Context, Verifier};
use database::Database;
use ephemeral::Ephemeral;
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, JwkSet},
};
use protocol::ids::UserId;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};

/// Signs users' tokens as the account service does.
pub struct Tokens {
    key: EncodingKey,
    kid: String,
    set: JwkSet,
}

impl Tokens {
    pub fn new() -> Self {
        Self::with_kid("test")
    }

    pub fn with_kid(kid: &str) -> Self {
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
            .expect("the system gives random numbers");
        let key = EncodingKey::from_ec_der(der.as_ref());
        let mut jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).expect("the key was just made");
        jwk.common.key_id = Some(kid.to_owned());
        Self { key, kid: kid.to_owned(), set: JwkSet { keys: vec![jwk] } }
    }

    /// A good token for `user`, for an hour.
    pub fn user(&self, user: UserId) -> String {
        self.sign(&self.claims(user))
    }

    /// The claims of a good token, to be spoilt.
    pub fn claims(&self, user: UserId) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({"sub": user, "aud": "authenticated", "role": "authenticated", "iat": now, "exp": now + 3600})
    }

    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(Algorithm::ES256);
        header.kid = Some(self.kid.clone());
        self.sign_with(&header, claims)
    }

    pub fn sign_with(&self, header: &Header, claims: &Value) -> String {
        jsonwebtoken::encode(header, claims, &self.key).expect("claims are plain JSON")
    }

    pub fn set(&self) -> &JwkSet {
        &self.set
    }

    pub fn verifier(&self) -> Verifier {
        Verifier::fixed(&self.set)
    }
}

impl Default for Tokens {
    fn default() -> Self {
        Self::new()
    }
}

/// A context over this database whose users sign in with these tokens.
pub fn context(database: Database) -> (Context, Tokens) {
    let tokens = Tokens::new();
    let ephemeral = Ephemeral::postgres(database.clone());
    (Context::new(database, tokens.verifier(), ephemeral), tokens)
}
