use super::{Aead, DeliveryError, Kdf, Kem, Recipient, additional, info, signed};
use crate::{bytes, vault::open::text};
use capability::PublicKey;
use hpke::{Deserializable, OpModeR};
use protocol::{chat::Secret, ids::UserId, toolbox::SealedCredential};
use zeroize::Zeroizing;

/// A credential that has arrived.
pub struct Opened {
    pub key: String,
    pub value: Secret,
}

impl Recipient {
    /// Opens one credential of the reply. `keys` finds a pinned control-plane key by its id; `now` is never earlier than the
    /// control plane's latest time (`capability::Verifier::time`).
    pub fn open(
        &self,
        sealed: &SealedCredential,
        tenant: UserId,
        keys: impl Fn(&str) -> Option<PublicKey>,
        now: i64,
    ) -> Result<Opened, DeliveryError> {
        let control_plane = keys(&sealed.kid).ok_or(DeliveryError::UnknownKey)?;
        let info = info(tenant, self.toolbox, self.server, sealed.credential_id, sealed.version);
        let additional = additional(sealed.expires_at, &self.nonce);
        let signature: [u8; 64] = bytes::decode(&sealed.signature).ok_or(DeliveryError::Malformed)?;
        if !control_plane.verify(&signed(&info, &additional, &self.public, sealed), &signature) {
            return Err(DeliveryError::Signature);
        }
        if now >= sealed.expires_at {
            return Err(DeliveryError::Expired);
        }
        let enc: Vec<u8> = bytes::decode(&sealed.enc).ok_or(DeliveryError::Malformed)?;
        let enc = <Kem as hpke::Kem>::EncappedKey::from_bytes(&enc).map_err(|_| DeliveryError::Malformed)?;
        let ciphertext: Vec<u8> = bytes::decode(&sealed.ciphertext).ok_or(DeliveryError::Malformed)?;
        let plaintext = hpke::single_shot_open::<Aead, Kdf, Kem>(
            &OpModeR::Base,
            &self.private,
            &enc,
            &info,
            &ciphertext,
            &additional,
        )
        .map_err(|_| DeliveryError::Opening)?;
        let value = text(Zeroizing::new(plaintext)).ok_or(DeliveryError::Opening)?;
        Ok(Opened { key: sealed.key.clone(), value })
    }
}
