//! The vault's operations over whatever keeps its rows.

pub(crate) mod open;
mod store;
#[cfg(test)]
mod tests;

pub use store::{NewVersion, Prepared, Released, ReleasedRow, SecretStore, Target, TenantKey};

use crate::{
    Key,
    envelope::{self, Binding, EnvelopeError},
    wrap::{KeyWrap, Whose, WrapError},
};
use protocol::{Timestamp, chat::Secret, ids::*};
use std::sync::Arc;
use uuid::Uuid;

/// Bytes of a value: room for a service account's JSON file.
pub const MAX_VALUE: usize = 64 * 1024;

const ATTEMPTS: usize = 5;

#[derive(Debug, thiserror::Error)]
pub enum Error<E> {
    #[error("the vault's rows cannot be read or written")]
    Store(#[source] E),
    #[error("a tenant key cannot be wrapped or unwrapped")]
    Wrap(#[from] WrapError),
    /// An alert: rows were changed or mixed up, or a key is the wrong one.
    #[error("a stored secret cannot be decrypted")]
    Opening(#[from] EnvelopeError),
    #[error("a tenant key is wrapped by a key that has been retired")]
    Retired,
    #[error("the value is empty or larger than 64 KiB")]
    Size,
    #[error("the same secret is being written by somebody else")]
    Busy,
}

/// A secret that was released, and what it is.
pub struct Plain {
    pub id: CredentialId,
    pub key: String,
    pub version: i32,
    pub expires_at: Option<Timestamp>,
    pub value: Secret,
}

/// What one server gets.
pub struct Release {
    pub tenant: UserId,
    pub credentials: Vec<Plain>,
    /// Keys that the server wants and the vault does not have.
    pub missing: Vec<String>,
}

/// How far a rotation of the wrapping key has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rewrapped {
    pub done: usize,
    /// Nothing is wrapped by an older key any more, and the minimum stands at the newest.
    pub complete: bool,
}

/// The vault. Cheap to clone.
#[derive(Clone)]
pub struct Vault<S> {
    store: S,
    wrap: Arc<dyn KeyWrap>,
}

impl<S: SecretStore> Vault<S> {
    pub fn new(store: S, wrap: Arc<dyn KeyWrap>) -> Self {
        Self { store, wrap }
    }

    /// Keeps a value under a name of the caller's. The same name again makes a new version.
    pub async fn store(
        &self,
        caller: &S::Caller,
        server: &str,
        key: &str,
        value: &Secret,
        expires_at: Option<Timestamp>,
    ) -> Result<S::Written, Error<S::Error>> {
        self.write(caller, &Target::Name { server, key }, value, Some(expires_at)).await
    }

    /// A new version of a credential that is there; its expiry stays.
    pub async fn rotate(
        &self,
        caller: &S::Caller,
        id: CredentialId,
        value: &Secret,
    ) -> Result<S::Written, Error<S::Error>> {
        self.write(caller, &Target::Id { id }, value, None).await
    }

    async fn write(
        &self,
        caller: &S::Caller,
        target: &Target<'_>,
        value: &Secret,
        expires_at: Option<Option<Timestamp>>,
    ) -> Result<S::Written, Error<S::Error>> {
        if value.expose().is_empty() || value.expose().len() > MAX_VALUE {
            return Err(Error::Size);
        }
        // Each attempt loses against a writer that won, so somebody always gets on.
        for _ in 0..ATTEMPTS {
            let prepared = self.store.prepare(caller, target).await.map_err(Error::Store)?;
            let version = self.encrypt(&prepared, value, expires_at).await?;
            if let Some(written) = self.store.put(caller, &version).await.map_err(Error::Store)? {
                return Ok(written);
            }
        }
        Err(Error::Busy)
    }

    async fn encrypt(
        &self,
        prepared: &Prepared,
        value: &Secret,
        expires_at: Option<Option<Timestamp>>,
    ) -> Result<NewVersion, Error<S::Error>> {
        let (tenant_key, key, is_new) = match &prepared.tenant_key {
            Some(held) => (held.clone(), self.unwrap(prepared.tenant, held, prepared.minimum).await?, false),
            None => {
                let (made, key) = self.new_tenant_key(prepared.tenant).await?;
                (made, key, true)
            }
        };
        let key_id = tenant_key.id.to_string();
        let binding = binding(prepared.tenant, prepared.id, prepared.version, &key_id);
        let data_key = envelope::random_key()?;
        Ok(NewVersion {
            id: prepared.id,
            server: prepared.server.clone(),
            key: prepared.key.clone(),
            version: prepared.version,
            expires_at: expires_at.unwrap_or(prepared.expires_at),
            data_key: envelope::seal(&key, &Binding { kind: "data-key", ..binding }, &*data_key)?,
            value: envelope::seal(&data_key, &binding, value.expose().as_bytes())?,
            tenant_key_id: tenant_key.id,
            new_tenant_key: is_new.then_some(tenant_key),
        })
    }

    async fn new_tenant_key(&self, tenant: UserId) -> Result<(TenantKey, Key), Error<S::Error>> {
        let (id, key) = (Uuid::now_v7(), envelope::random_key()?);
        let wrapped = self.wrap.wrap(&key, Whose { tenant, key_id: id }).await?;
        Ok((TenantKey { id, tenant, wrapped }, key))
    }
}

fn binding(tenant: UserId, id: CredentialId, version: i32, key_id: &str) -> Binding<'_> {
    Binding { tenant, owner: tenant, secret: id.into(), version, kind: "credential", key_id }
}
