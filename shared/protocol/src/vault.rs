//! `/api/vault`: names and dates out, never a value.

use crate::{Timestamp, chat::Secret, ids::*};
use serde::{Deserialize, Serialize};

/// `POST /api/vault/credentials`. The same server and key again makes a new version.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialCreate {
    /// The catalog entry's name: every deployment of that server by the same user shares the credential.
    pub server: String,
    pub key: String,
    pub value: Secret,
    /// After this time nobody can read it.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// `POST /api/vault/credentials/{id}/rotate`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialRotate {
    pub value: Secret,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    pub id: CredentialId,
    pub server: String,
    pub key: String,
    pub version: i32,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// One row of the audit: written before a value is released.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Access {
    pub at: Timestamp,
    /// `create`, `rotate`, `release` or `delete`.
    pub action: String,
    pub credential_id: CredentialId,
    pub server: String,
    pub key: String,
    /// `user:<id>`, `toolbox:<id>`, `provision:<id>` for making or destroying that toolbox's machine, or `service`.
    pub by: String,
}

/// `POST /api/vault/keys`. The name says which program will use it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApiKeyCreate {
    pub name: String,
    /// After this time it is good for nothing.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
}

/// The one time that the key itself is told.
#[derive(Serialize, Deserialize)]
pub struct ApiKeyCreated {
    #[serde(flatten)]
    pub made: ApiKey,
    pub key: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    pub id: ApiKeyId,
    pub name: String,
    pub created_at: Timestamp,
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// To five minutes.
    #[serde(default)]
    pub used_at: Option<Timestamp>,
}
