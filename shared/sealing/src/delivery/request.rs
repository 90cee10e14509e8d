use super::{DeliveryError, Kem};
use crate::{bytes, fields};
use capability::{PublicKey, SigningKey};
use hpke::{Deserializable, Kem as _, Serializable};
use protocol::{
    ids::{ServerId, ToolboxId},
    toolbox::CredentialsRequest,
};
use rand::{RngCore, TryRngCore, rngs::OsRng};

/// The toolbox's half of a request: opens what the reply to it holds, and nothing else. Its key is thrown away with it.
pub struct Recipient {
    pub(super) toolbox: ToolboxId,
    pub(super) server: ServerId,
    pub(super) nonce: String,
    pub(super) public: [u8; 32],
    pub(super) private: <Kem as hpke::Kem>::PrivateKey,
}

impl Recipient {
    /// A recipient with a new key, and the request that asks for the server's credentials with it.
    pub fn new(toolbox: ToolboxId, server: ServerId, device: &SigningKey) -> (Self, CredentialsRequest) {
        let mut random = OsRng.unwrap_err();
        let (private, public) = Kem::gen_keypair(&mut random);
        let mut nonce = [0; 16];
        random.fill_bytes(&mut nonce);
        let recipient =
            Self { toolbox, server, nonce: bytes::encode(nonce), public: public.to_bytes().into(), private };
        let mut request = CredentialsRequest {
            server_id: server,
            recipient_key: bytes::encode(recipient.public),
            signature: String::new(),
            nonce: recipient.nonce.clone(),
        };
        request.signature = bytes::encode(device.sign(&canonical(toolbox, &request)));
        (recipient, request)
    }
}

/// To whom the control plane may seal: a key that the toolbox signed for this request.
pub struct RecipientKey {
    pub(super) toolbox: ToolboxId,
    pub(super) server: ServerId,
    pub(super) nonce: String,
    pub(super) public: [u8; 32],
    pub(super) key: <Kem as hpke::Kem>::PublicKey,
}

/// Checks a request against the key that the toolbox enrolled with.
pub fn verify(
    request: &CredentialsRequest,
    toolbox: ToolboxId,
    device: &PublicKey,
) -> Result<RecipientKey, DeliveryError> {
    let public: [u8; 32] = bytes::decode(&request.recipient_key).ok_or(DeliveryError::Malformed)?;
    let _: [u8; 16] = bytes::decode(&request.nonce).ok_or(DeliveryError::Malformed)?;
    let signature: [u8; 64] = bytes::decode(&request.signature).ok_or(DeliveryError::Malformed)?;
    if !device.verify(&canonical(toolbox, request), &signature) {
        return Err(DeliveryError::Request);
    }
    let key = <Kem as hpke::Kem>::PublicKey::from_bytes(&public).map_err(|_| DeliveryError::Malformed)?;
    Ok(RecipientKey { toolbox, server: request.server_id, nonce: request.nonce.clone(), public, key })
}

fn canonical(toolbox: ToolboxId, request: &CredentialsRequest) -> Vec<u8> {
    fields::encode(&[
        "agentopia/delivery-request/1",
        &toolbox.to_string(),
        &request.server_id.to_string(),
        &request.recipient_key,
        &request.nonce,
    ])
}
