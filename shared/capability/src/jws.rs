//! Compact JWS with Ed25519: the only form and the only algorithm that this crate knows.

use crate::{KeyError, PublicKey, Refusal, SigningKey};
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use ring::rand::{SecureRandom, SystemRandom};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

const ALGORITHM: &str = "EdDSA";

/// Strict: whatever would make a verifier look elsewhere for a key (`jku`, `jwk`, `x5u`) is an unknown member.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    alg: String,
    typ: String,
    kid: String,
}

/// A token that is cut into its parts. Nothing in it is trusted before `open`.
pub(crate) struct Parts<'a> {
    pub(crate) kid: String,
    signed: &'a str,
    payload: &'a str,
    signature: &'a str,
}

/// Cuts a token of type `typ` with a header of at most a few hundred bytes.
pub(crate) fn parse<'a>(token: &'a str, typ: &str, limit: usize) -> Result<Parts<'a>, Refusal> {
    if token.len() > limit {
        return Err(Refusal::TooLarge);
    }
    let (signed, signature) = token.rsplit_once('.').ok_or(Refusal::Malformed)?;
    let (header, payload) = signed.split_once('.').ok_or(Refusal::Malformed)?;
    if header.len() > 512 || payload.contains('.') {
        return Err(Refusal::Malformed);
    }
    let header: Header = json(header)?;
    if header.alg != ALGORITHM || header.typ != typ {
        return Err(Refusal::Malformed);
    }
    Ok(Parts { kid: header.kid, signed, payload, signature })
}

impl Parts<'_> {
    /// The payload, once the signature is found good.
    pub(crate) fn open<C: DeserializeOwned>(&self, key: &PublicKey) -> Result<C, Refusal> {
        let signature = BASE64_URL_SAFE_NO_PAD.decode(self.signature).map_err(|_| Refusal::Malformed)?;
        if !key.verify(self.signed.as_bytes(), &signature) {
            return Err(Refusal::Signature);
        }
        json(self.payload)
    }

    /// The payload as it claims to be: only to find out whose key to verify it with.
    pub(crate) fn unverified<C: DeserializeOwned>(&self) -> Result<C, Refusal> {
        json(self.payload)
    }
}

pub(crate) fn sign(key: &SigningKey, kid: &str, typ: &str, claims: &impl Serialize) -> String {
    let header = Header { alg: ALGORITHM.into(), typ: typ.into(), kid: kid.into() };
    let mut token = encode(&header);
    token.push('.');
    token.push_str(&encode(claims));
    let signature = BASE64_URL_SAFE_NO_PAD.encode(key.sign(token.as_bytes()));
    token.push('.');
    token.push_str(&signature);
    token
}

/// 16 random bytes as text: a token's own id.
pub(crate) fn random_id() -> Result<String, KeyError> {
    let mut bytes = [0; 16];
    SystemRandom::new().fill(&mut bytes).map_err(|_| KeyError::Random)?;
    Ok(BASE64_URL_SAFE_NO_PAD.encode(bytes))
}

fn encode(value: &impl Serialize) -> String {
    let json = serde_json::to_vec(value).expect("claims and headers have only JSON's types");
    BASE64_URL_SAFE_NO_PAD.encode(json)
}

fn json<T: DeserializeOwned>(part: &str) -> Result<T, Refusal> {
    let bytes = BASE64_URL_SAFE_NO_PAD.decode(part).map_err(|_| Refusal::Malformed)?;
    serde_json::from_slice(&bytes).map_err(|_| Refusal::Malformed)
}
