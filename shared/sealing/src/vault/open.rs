//! Reading: unwrap, decrypt, and wrap anew what an older key wrapped.

use super::{Error, Plain, Release, Released, ReleasedRow, Rewrapped, SecretStore, TenantKey, Vault, binding};
use crate::{
    Key,
    envelope::{self, Binding, EnvelopeError},
    wrap::Whose,
};
use protocol::{Timestamp, chat::Secret, ids::*};

impl<S: SecretStore> Vault<S> {
    /// What a server at the calling toolbox gets. The store audits each before it gives it away.
    pub async fn release(&self, caller: &S::Caller, server: ServerId) -> Result<Release, Error<S::Error>> {
        self.open(self.store.release(caller, server).await.map_err(Error::Store)?).await
    }

    /// Decrypts what the store has given away for another purpose, audited as for [`Self::release`].
    pub async fn open(&self, released: Released) -> Result<Release, Error<S::Error>> {
        let mut missing = released.missing;
        let mut credentials = Vec::with_capacity(released.credentials.len());
        let now = Timestamp::now();
        let (due, live): (Vec<_>, Vec<_>) =
            released.credentials.into_iter().partition(|row| row.expires_at.is_some_and(|end| end <= now));
        missing.extend(due.into_iter().map(|row| row.key));
        if !live.is_empty() {
            let held = released.tenant_key.ok_or(Error::Opening(EnvelopeError::Opening))?;
            let key = self.unwrap(released.tenant, &held, released.minimum).await?;
            for row in live {
                credentials.push(decrypt(&key, released.tenant, &held, row)?);
            }
        }
        Ok(Release { tenant: released.tenant, credentials, missing })
    }

    /// Wraps anew some tenant keys that an older wrapping key wrapped; for a timer. One that cannot be read holds up no other.
    pub async fn rewrap(&self, limit: u32) -> Result<Rewrapped, Error<S::Error>> {
        let current = self.wrap.current();
        let older = self.store.tenant_keys_below(current, limit).await.map_err(Error::Store)?;
        let mut done = 0;
        for held in &older {
            let whose = Whose { tenant: held.tenant, key_id: held.id };
            match self.wrap.unwrap(&held.wrapped, whose).await {
                Ok(key) => done += usize::from(self.rewrap_one(held, &key).await?),
                Err(error) => tracing::error!(tenant = %held.tenant, %error, "a tenant key cannot be wrapped anew"),
            }
        }
        let complete = older.is_empty() && self.store.raise_minimum(current).await.map_err(Error::Store)?;
        Ok(Rewrapped { done, complete })
    }

    pub(super) async fn unwrap(&self, tenant: UserId, held: &TenantKey, minimum: u32) -> Result<Key, Error<S::Error>> {
        if held.wrapped.key < minimum {
            tracing::error!(%tenant, "a tenant key is wrapped by a retired key");
            return Err(Error::Retired);
        }
        let whose = Whose { tenant, key_id: held.id };
        let key = self.wrap.unwrap(&held.wrapped, whose).await.inspect_err(|error| {
            tracing::error!(%tenant, error = %error, "a tenant key cannot be unwrapped");
        })?;
        if held.wrapped.key < self.wrap.current() {
            // The request has its key already: that it stays wrapped as it was must not fail it.
            if let Err(error) = self.rewrap_one(held, &key).await {
                tracing::warn!(%tenant, error = %error, "a tenant key was not wrapped anew");
            }
        }
        Ok(key)
    }

    async fn rewrap_one(&self, held: &TenantKey, key: &Key) -> Result<bool, Error<S::Error>> {
        let wrapped = self.wrap.wrap(key, Whose { tenant: held.tenant, key_id: held.id }).await?;
        self.store.rewrap(held, &wrapped).await.map_err(Error::Store)
    }
}

fn decrypt<E>(key: &Key, tenant: UserId, held: &TenantKey, row: ReleasedRow) -> Result<Plain, Error<E>> {
    let key_id = held.id.to_string();
    let binding = binding(tenant, row.id, row.version, &key_id);
    let value = envelope::open_key(key, &Binding { kind: "data-key", ..binding }, &row.data_key)
        .and_then(|data_key| envelope::open(&data_key, &binding, &row.value))
        .and_then(|value| text(value).ok_or(EnvelopeError::Opening))
        .inspect_err(|error| {
            tracing::error!(%tenant, credential = %row.id, version = row.version, error = %error,
                "a stored secret cannot be decrypted");
        })?;
    Ok(Plain { id: row.id, key: row.key, version: row.version, expires_at: row.expires_at, value })
}

/// Moves the bytes, so that no copy of them stays behind.
pub(crate) fn text(mut bytes: zeroize::Zeroizing<Vec<u8>>) -> Option<Secret> {
    std::str::from_utf8(&bytes).ok()?;
    String::from_utf8(std::mem::take(&mut *bytes)).ok().map(Secret::new)
}
