use super::{KeyWrap, Whose, WrapError, Wrapped};
use crate::Key;
use async_trait::async_trait;
use aws_sdk_kms::{Client, error::SdkError, operation::decrypt::DecryptError, primitives::Blob};
use std::collections::HashMap;

/// Wrapping keys in AWS KMS, which never leave it. KMS rotates the material of a key by itself; moving to another
/// key is a new entry at the end of the list.
pub struct Kms {
    client: Client,
    /// Key ids or ARNs; the place in the list plus one is the key's number.
    keys: Vec<String>,
}

impl Kms {
    /// With the credentials and region of the environment.
    pub async fn connect(keys: Vec<String>) -> Result<Self, WrapError> {
        let config = aws_config::load_from_env().await;
        Self::new(Client::new(&config), keys)
    }

    pub fn new(client: Client, keys: Vec<String>) -> Result<Self, WrapError> {
        if keys.is_empty() { Err(WrapError::Unconfigured) } else { Ok(Self { client, keys }) }
    }
}

/// Stands in KMS's own audit trail, too, so it holds ids only.
fn context(whose: Whose) -> HashMap<String, String> {
    HashMap::from([
        ("agentopia".into(), "vault/1".into()),
        ("tenant".into(), whose.tenant.to_string()),
        ("key".into(), whose.key_id.to_string()),
    ])
}

#[async_trait]
impl KeyWrap for Kms {
    fn current(&self) -> u32 {
        self.keys.len() as u32
    }

    async fn wrap(&self, key: &Key, whose: Whose) -> Result<Wrapped, WrapError> {
        let reply = self
            .client
            .encrypt()
            .key_id(&self.keys[self.keys.len() - 1])
            .plaintext(Blob::new(key.as_slice()))
            .set_encryption_context(Some(context(whose)))
            .send()
            .await
            .map_err(|error| WrapError::Service(error.into()))?;
        let blob = reply.ciphertext_blob.ok_or(WrapError::Opening)?.into_inner();
        Ok(Wrapped { key: self.current(), blob })
    }

    async fn unwrap(&self, wrapped: &Wrapped, whose: Whose) -> Result<Key, WrapError> {
        let place = (wrapped.key as usize).checked_sub(1);
        let key_id = place.and_then(|place| self.keys.get(place)).ok_or(WrapError::NoSuchKey(wrapped.key))?;
        // The key is named, so that KMS uses no other that it may find in the blob.
        let reply = self
            .client
            .decrypt()
            .key_id(key_id)
            .ciphertext_blob(Blob::new(wrapped.blob.clone()))
            .set_encryption_context(Some(context(whose)))
            .send()
            .await
            .map_err(refusal)?;
        let plain = zeroize::Zeroizing::new(reply.plaintext.ok_or(WrapError::Opening)?.into_inner());
        let mut key = Key::default();
        if plain.len() != key.len() {
            return Err(WrapError::Opening);
        }
        key.copy_from_slice(&plain);
        Ok(key)
    }
}

fn refusal(error: SdkError<DecryptError>) -> WrapError {
    match error.as_service_error() {
        Some(DecryptError::InvalidCiphertextException(_) | DecryptError::IncorrectKeyException(_)) => {
            WrapError::Opening
        }
        _ => WrapError::Service(error.into()),
    }
}
