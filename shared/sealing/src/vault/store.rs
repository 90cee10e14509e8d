use crate::{envelope::Envelope, wrap::Wrapped};
use async_trait::async_trait;
use protocol::{Timestamp, ids::*};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The rows. Each method is one call of the database, and sees what the caller may see.
#[async_trait]
pub trait SecretStore: Send + Sync {
    type Caller: Send + Sync;
    type Error: std::error::Error + Send + Sync + 'static;
    /// What a write answers.
    type Written: Send;

    /// Which id and number a new version will have, and the tenant's key.
    async fn prepare(&self, caller: &Self::Caller, target: &Target<'_>) -> Result<Prepared, Self::Error>;
    /// Writes a version with its audit row. `None`: the number, or the tenant key, is another one by now.
    async fn put(&self, caller: &Self::Caller, version: &NewVersion) -> Result<Option<Self::Written>, Self::Error>;
    /// What the server of the calling toolbox gets; the audit rows are written before it comes out.
    async fn release(&self, caller: &Self::Caller, server: ServerId) -> Result<Released, Self::Error>;
    /// Replaces the wrapped form if it is still the one that was read.
    async fn rewrap(&self, held: &TenantKey, wrapped: &Wrapped) -> Result<bool, Self::Error>;
    /// Tenant keys that are wrapped by a key older than `key`.
    async fn tenant_keys_below(&self, key: u32, limit: u32) -> Result<Vec<TenantKey>, Self::Error>;
    /// Refuses older ones from now on. False when there still are some.
    async fn raise_minimum(&self, key: u32) -> Result<bool, Self::Error>;
}

/// Which credential is written.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Target<'a> {
    Name { server: &'a str, key: &'a str },
    Id { id: CredentialId },
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantKey {
    pub id: Uuid,
    pub tenant: UserId,
    pub wrapped: Wrapped,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Prepared {
    pub id: CredentialId,
    pub server: String,
    pub key: String,
    /// The number that the new version gets.
    pub version: i32,
    pub expires_at: Option<Timestamp>,
    pub tenant: UserId,
    pub tenant_key: Option<TenantKey>,
    /// The oldest wrapping key that is still good.
    pub minimum: u32,
}

#[derive(Clone, Debug, Serialize)]
pub struct NewVersion {
    pub id: CredentialId,
    pub server: String,
    pub key: String,
    pub version: i32,
    pub expires_at: Option<Timestamp>,
    pub data_key: Envelope,
    pub value: Envelope,
    pub tenant_key_id: Uuid,
    /// The tenant's first.
    pub new_tenant_key: Option<TenantKey>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct Released {
    pub tenant: UserId,
    pub tenant_key: Option<TenantKey>,
    pub minimum: u32,
    pub credentials: Vec<ReleasedRow>,
    pub missing: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
pub struct ReleasedRow {
    pub id: CredentialId,
    pub key: String,
    pub version: i32,
    pub expires_at: Option<Timestamp>,
    pub data_key: Envelope,
    pub value: Envelope,
}
