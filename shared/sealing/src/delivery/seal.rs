use super::{Aead, DeliveryError, Kdf, Kem, MAX_LIFE, RecipientKey, additional, info, signed};
use crate::bytes;
use capability::Minter;
use hpke::{OpModeS, Serializable};
use protocol::{Timestamp, chat::Secret, ids::*, toolbox::SealedCredential};
use rand::{TryRngCore, rngs::OsRng};

/// A credential on its way out of the vault.
pub struct Delivery<'a> {
    pub tenant: UserId,
    pub id: CredentialId,
    pub version: i32,
    pub key: &'a str,
    pub value: &'a Secret,
    pub expires_at: Option<Timestamp>,
}

/// Seals to the recipient, for five minutes or until the credential's own expiry.
pub fn seal(
    delivery: &Delivery<'_>,
    to: &RecipientKey,
    minter: &Minter,
    now: i64,
) -> Result<SealedCredential, DeliveryError> {
    let end = delivery.expires_at.map_or(i64::MAX, Timestamp::as_second);
    let expires_at = end.min(now + MAX_LIFE);
    let info = info(delivery.tenant, to.toolbox, to.server, delivery.id, delivery.version);
    let additional = additional(expires_at, &to.nonce);
    let plaintext = delivery.value.expose().as_bytes();
    let (enc, ciphertext) = hpke::single_shot_seal::<Aead, Kdf, Kem, _>(
        &OpModeS::Base,
        &to.key,
        &info,
        plaintext,
        &additional,
        &mut OsRng.unwrap_err(),
    )
    .map_err(|_| DeliveryError::Sealing)?;
    let mut sealed = SealedCredential {
        key: delivery.key.to_owned(),
        credential_id: delivery.id,
        version: delivery.version,
        expires_at,
        enc: bytes::encode(enc.to_bytes()),
        ciphertext: bytes::encode(ciphertext),
        signature: String::new(),
        kid: minter.kid().to_owned(),
    };
    sealed.signature = bytes::encode(minter.key().sign(&signed(&info, &additional, &to.public, &sealed)));
    Ok(sealed)
}
