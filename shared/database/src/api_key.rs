//! Users' API keys, known by their hash.

use crate::{Caller, Database, Error};
use protocol::{
    Timestamp,
    ids::{ApiKeyId, UserId},
    vault::ApiKey,
};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Owner {
    owner: UserId,
}

impl Database {
    /// `hash`: SHA-256 of the key in hex. `Conflict` when the name is taken.
    pub async fn api_key_create(
        &self,
        caller: &Caller,
        name: &str,
        hash: &str,
        expires_at: Option<Timestamp>,
    ) -> Result<ApiKey, Error> {
        self.call(caller, "api_key_create", &json!({"name": name, "hash": hash, "expires_at": expires_at})).await
    }

    pub async fn api_key_list(&self, caller: &Caller) -> Result<Vec<ApiKey>, Error> {
        self.call(caller, "api_key_list", &json!({})).await
    }

    pub async fn api_key_delete(&self, caller: &Caller, id: ApiKeyId) -> Result<(), Error> {
        self.call(caller, "api_key_delete", &json!({"id": id})).await.map(|_: serde_json::Value| ())
    }

    /// Whose key it is, if it is good. For `Caller::service`.
    pub async fn api_key_owner(&self, caller: &Caller, hash: &str) -> Result<Option<UserId>, Error> {
        self.call(caller, "api_key_owner", &json!({"hash": hash}))
            .await
            .map(|found: Option<Owner>| found.map(|o| o.owner))
    }
}
