//! The vault's rows: `sealing::Vault` works over them. Ciphertext only, in both directions.

use crate::{Caller, Database, Error, toolbox::Reachable};
use async_trait::async_trait;
use protocol::{
    ids::*,
    vault::{Access, Credential},
};
use sealing::{
    vault::{NewVersion, Prepared, Released, SecretStore, Target, TenantKey},
    wrap::{WrapError, Wrapped},
};
use serde::Deserialize;
use serde_json::json;

/// A version that was written, and the toolboxes whose servers start again with it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Written {
    pub credential: Credential,
    pub toolboxes: Vec<Reachable>,
}

#[derive(Deserialize)]
struct Deleted {
    toolboxes: Vec<Reachable>,
}

#[derive(Deserialize)]
struct Expired {
    credentials: u64,
}

/// What a caller is told of it: faults of ours as such, and never what was stored.
impl From<sealing::Error<Error>> for Error {
    fn from(error: sealing::Error<Error>) -> Self {
        match error {
            sealing::Error::Store(error) => error,
            sealing::Error::Size => Self::Invalid {
                message: "The value is empty or larger than 64 KiB.".into(),
                fix: "Send the value itself, not a file that holds more than it.".into(),
            },
            sealing::Error::Busy => Self::Conflict {
                message: "The same credential is being changed by somebody else.".into(),
                fix: "Try again.".into(),
            },
            sealing::Error::Wrap(WrapError::Service(cause)) => Self::Unavailable(cause),
            error => Self::unexpected(error),
        }
    }
}

impl Database {
    /// Names and dates of the user's credentials that have not expired.
    pub async fn credential_list(&self, caller: &Caller) -> Result<Vec<Credential>, Error> {
        self.call(caller, "credential_list", &json!({})).await
    }

    /// Answers the toolboxes whose servers start again without it.
    pub async fn credential_delete(&self, caller: &Caller, id: CredentialId) -> Result<Vec<Reachable>, Error> {
        self.call(caller, "credential_delete", &json!({"id": id})).await.map(|deleted: Deleted| deleted.toolboxes)
    }

    /// The audit, newest first, 1000 rows at most.
    pub async fn access_list(&self, caller: &Caller, limit: u32) -> Result<Vec<Access>, Error> {
        self.call(caller, "access_list", &json!({"limit": limit})).await
    }

    /// Removes what has expired and says how many that were. For `Caller::service`.
    pub async fn credential_expire(&self, caller: &Caller) -> Result<u64, Error> {
        self.call(caller, "credential_expire", &json!({})).await.map(|expired: Expired| expired.credentials)
    }
}

#[async_trait]
impl SecretStore for Database {
    type Caller = Caller;
    type Error = Error;
    type Written = Written;

    async fn prepare(&self, caller: &Caller, target: &Target<'_>) -> Result<Prepared, Error> {
        self.call(caller, "credential_prepare", target).await
    }

    async fn put(&self, caller: &Caller, version: &NewVersion) -> Result<Option<Written>, Error> {
        self.call(caller, "credential_put", version).await
    }

    async fn release(&self, caller: &Caller, server: ServerId) -> Result<Released, Error> {
        self.call(caller, "credential_release", &json!({"server_id": server})).await
    }

    async fn rewrap(&self, held: &TenantKey, wrapped: &Wrapped) -> Result<bool, Error> {
        self.call(&Caller::service(), "tenant_key_rewrap", &json!({"held": held, "wrapped": wrapped})).await
    }

    async fn tenant_keys_below(&self, key: u32, limit: u32) -> Result<Vec<TenantKey>, Error> {
        self.call(&Caller::service(), "tenant_key_list", &json!({"below": key, "limit": limit})).await
    }

    async fn raise_minimum(&self, key: u32) -> Result<bool, Error> {
        self.call(&Caller::service(), "wrapping_raise", &json!({"minimum": key})).await
    }
}
