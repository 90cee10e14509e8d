//! From the vault to one toolbox, readable by the one request that asked.

mod open;
mod request;
mod seal;
#[cfg(test)]
mod tests;

pub use open::Opened;
pub use request::{Recipient, RecipientKey, verify};
pub use seal::{Delivery, seal};

use crate::fields;
use hpke::{aead::ChaCha20Poly1305, kdf::HkdfSha256, kem::X25519HkdfSha256};
use protocol::{ids::*, toolbox::SealedCredential};

type Aead = ChaCha20Poly1305;
type Kdf = HkdfSha256;
type Kem = X25519HkdfSha256;

/// Seconds in which a sealed credential can be opened.
pub const MAX_LIFE: i64 = 300;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeliveryError {
    #[error("the request is not well formed")]
    Malformed,
    #[error("the request was not signed by this toolbox's key")]
    Request,
    #[error("the credential was sealed by a key that is not known here")]
    UnknownKey,
    #[error("the credential was not sealed by the control plane, or not for this request")]
    Signature,
    #[error("the sealed credential has expired")]
    Expired,
    #[error("the sealed credential cannot be opened")]
    Opening,
    #[error("the credential cannot be sealed to this key")]
    Sealing,
}

/// What the encryption key is bound to.
fn info(tenant: UserId, toolbox: ToolboxId, server: ServerId, id: CredentialId, version: i32) -> Vec<u8> {
    fields::encode(&[
        "agentopia/delivery/1",
        &tenant.to_string(),
        &toolbox.to_string(),
        &server.to_string(),
        &id.to_string(),
        &version.to_string(),
    ])
}

fn additional(expires_at: i64, nonce: &str) -> Vec<u8> {
    fields::encode(&[&expires_at.to_string(), nonce])
}

/// What the control plane signs: the envelope with all that it is bound to.
fn signed(info: &[u8], additional: &[u8], recipient: &[u8], sealed: &SealedCredential) -> Vec<u8> {
    fields::encode(&[
        b"agentopia/delivery-envelope/1",
        info,
        additional,
        recipient,
        sealed.kid.as_bytes(),
        sealed.key.as_bytes(),
        sealed.enc.as_bytes(),
        sealed.ciphertext.as_bytes(),
    ])
}
