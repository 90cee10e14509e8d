//! Who wraps tenant keys.

mod environment;
mod file;
#[cfg(feature = "kms")]
mod kms;

pub use environment::from_environment;
pub use file::KeyFile;
#[cfg(feature = "kms")]
pub use kms::Kms;

use crate::{Key, bytes};
use async_trait::async_trait;
use protocol::ids::UserId;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

type Cause = Box<dyn std::error::Error + Send + Sync>;

#[derive(Debug, thiserror::Error)]
pub enum WrapError {
    #[error("the key file {0} can be read by others; make it readable by its owner alone: chmod 600 {0}")]
    OpenToOthers(String),
    #[error("the key file {0} cannot be read or written")]
    File(String, #[source] std::io::Error),
    #[error("the key file {0} is not one that this program wrote")]
    Format(String),
    #[error("no wrapping key is configured; set AGENTOPIA_VAULT_KEY_FILE or AGENTOPIA_VAULT_KMS_KEYS")]
    Unconfigured,
    #[error("a tenant key was wrapped with key {0}, which is not there")]
    NoSuchKey(u32),
    /// The wrapped key is not the tenant's, or was changed.
    #[error("a tenant key cannot be unwrapped")]
    Opening,
    #[error("the system gives no random numbers")]
    Random,
    #[error("the key service does not answer")]
    Service(#[source] Cause),
}

/// Whose key is wrapped: bound to the wrapped form, so that it unwraps for nobody else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whose {
    pub tenant: UserId,
    pub key_id: Uuid,
}

/// A tenant key as it is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wrapped {
    /// Which of the wrapping keys; they count up.
    pub key: u32,
    #[serde(with = "bytes")]
    pub blob: Vec<u8>,
}

#[async_trait]
pub trait KeyWrap: Send + Sync {
    /// The newest wrapping key.
    fn current(&self) -> u32;
    /// With the newest.
    async fn wrap(&self, key: &Key, whose: Whose) -> Result<Wrapped, WrapError>;
    /// With whichever it was wrapped by.
    async fn unwrap(&self, wrapped: &Wrapped, whose: Whose) -> Result<Key, WrapError>;
}
