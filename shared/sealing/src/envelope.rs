//! Encryption under one key, bound to what the ciphertext is and whose.

use crate::{Key, bytes, fields};
use protocol::ids::UserId;
use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    hkdf::{HKDF_SHA512, KeyType, Salt},
    rand::{SecureRandom, SystemRandom},
};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use uuid::Uuid;
use zeroize::Zeroizing;

const FORMAT: &str = "agentopia/vault/1";
const ALGORITHM: &str = "HKDF-SHA512+AES-256-GCM";

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EnvelopeError {
    #[error("the ciphertext is not what it is said to be, or its key is another one")]
    Opening,
    #[error("the ciphertext was made by a way that is not known here")]
    Algorithm,
    #[error("the value is too large to be encrypted")]
    TooLarge,
    #[error("the system gives no random numbers")]
    Random,
}

/// What a ciphertext is bound to beside its key.
#[derive(Clone, Copy, Debug)]
pub struct Binding<'a> {
    pub tenant: UserId,
    pub owner: UserId,
    pub secret: Uuid,
    pub version: i32,
    /// `credential`, `data-key` or `tenant-key`.
    pub kind: &'a str,
    pub key_id: &'a str,
}

impl Binding<'_> {
    fn encode(&self) -> Vec<u8> {
        fields::encode(&[
            FORMAT,
            &self.tenant.to_string(),
            &self.owner.to_string(),
            &self.secret.to_string(),
            &self.version.to_string(),
            self.kind,
            self.key_id,
            ALGORITHM,
        ])
    }
}

/// As it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Envelope {
    /// 1.
    pub version: u32,
    pub algorithm: String,
    /// Of the key that it is encrypted under.
    pub key_id: String,
    #[serde(with = "bytes")]
    pub salt: [u8; 32],
    #[serde(with = "bytes")]
    pub nonce: [u8; NONCE_LEN],
    #[serde(with = "bytes")]
    pub commitment: [u8; 32],
    /// With its tag.
    #[serde(with = "bytes")]
    pub ciphertext: Vec<u8>,
}

pub fn random_key() -> Result<Key, EnvelopeError> {
    let mut key = Key::default();
    fill(&mut *key)?;
    Ok(key)
}

pub fn seal(key: &Key, binding: &Binding<'_>, plaintext: &[u8]) -> Result<Envelope, EnvelopeError> {
    let (mut salt, mut nonce) = ([0; 32], [0; NONCE_LEN]);
    fill(&mut salt)?;
    fill(&mut nonce)?;
    let (encryption, commitment) = derive(key, &salt);
    // Encrypted in place: the plaintext's copy becomes the ciphertext.
    let mut ciphertext = Vec::with_capacity(plaintext.len() + AES_256_GCM.tag_len());
    ciphertext.extend_from_slice(plaintext);
    cipher(&encryption)
        .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(binding.encode()), &mut ciphertext)
        .map_err(|_| EnvelopeError::TooLarge)?;
    Ok(Envelope {
        version: 1,
        algorithm: ALGORITHM.into(),
        key_id: binding.key_id.into(),
        salt,
        nonce,
        commitment: *commitment,
        ciphertext,
    })
}

pub fn open(key: &Key, binding: &Binding<'_>, envelope: &Envelope) -> Result<Zeroizing<Vec<u8>>, EnvelopeError> {
    if envelope.version != 1 || envelope.algorithm != ALGORITHM {
        return Err(EnvelopeError::Algorithm);
    }
    let (encryption, commitment) = derive(key, &envelope.salt);
    if envelope.key_id != binding.key_id || !bool::from(commitment.ct_eq(&envelope.commitment)) {
        return Err(EnvelopeError::Opening);
    }
    let mut buffer = Zeroizing::new(envelope.ciphertext.clone());
    let length = cipher(&encryption)
        .open_in_place(Nonce::assume_unique_for_key(envelope.nonce), Aad::from(binding.encode()), &mut buffer)
        .map_err(|_| EnvelopeError::Opening)?
        .len();
    buffer.truncate(length);
    Ok(buffer)
}

/// A key that is encrypted under another.
pub fn open_key(key: &Key, binding: &Binding<'_>, envelope: &Envelope) -> Result<Key, EnvelopeError> {
    let bytes = open(key, binding, envelope)?;
    let mut inner = Key::default();
    if bytes.len() != inner.len() {
        return Err(EnvelopeError::Opening);
    }
    inner.copy_from_slice(&bytes);
    Ok(inner)
}

struct Length;

impl KeyType for Length {
    fn len(&self) -> usize {
        64
    }
}

/// The encryption key and the commitment.
fn derive(key: &Key, salt: &[u8; 32]) -> (Key, Key) {
    let mut both = Zeroizing::new([0; 64]);
    Salt::new(HKDF_SHA512, salt)
        .extract(&**key)
        .expand(&[FORMAT.as_bytes()], Length)
        .and_then(|output| output.fill(&mut *both))
        .expect("64 bytes are one block of HKDF-SHA512");
    let (mut encryption, mut commitment) = (Key::default(), Key::default());
    encryption.copy_from_slice(&both[..32]);
    commitment.copy_from_slice(&both[32..]);
    (encryption, commitment)
}

fn cipher(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &**key).expect("the key has 32 bytes"))
}

fn fill(bytes: &mut [u8]) -> Result<(), EnvelopeError> {
    SystemRandom::new().fill(bytes).map_err(|_| EnvelopeError::Random)
}

#[cfg(test)]
mod tests;
