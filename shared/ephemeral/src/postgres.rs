//! In Postgres, whose clock counts.

use crate::store::{Error, Store, millis};
use async_trait::async_trait;
use database::{Caller, Database};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::time::Duration;

pub(crate) struct Postgres(Database);

/// A stored `null` differs from nothing stored.
#[derive(Deserialize)]
struct Stored {
    value: Value,
}

impl Postgres {
    pub(crate) fn new(database: Database) -> Self {
        Self(database)
    }

    async fn call<R: DeserializeOwned>(&self, function: &'static str, arguments: Value) -> Result<R, Error> {
        Ok(self.0.call(&Caller::service(), function, &arguments).await?)
    }
}

#[async_trait]
impl Store for Postgres {
    async fn put_if_absent(&self, scope: &str, key: &str, value: &Value, ttl: Duration) -> Result<bool, Error> {
        let arguments = json!({"scope": scope, "key": key, "value": value, "ttl_ms": millis(ttl)});
        self.call("ephemeral_put_if_absent", arguments).await
    }

    async fn put(&self, scope: &str, key: &str, value: &Value, ttl: Duration) -> Result<(), Error> {
        self.call("ephemeral_put", json!({"scope": scope, "key": key, "value": value, "ttl_ms": millis(ttl)})).await
    }

    async fn get(&self, scope: &str, key: &str) -> Result<Option<Value>, Error> {
        let stored: Option<Stored> = self.call("ephemeral_get", json!({"scope": scope, "key": key})).await?;
        Ok(stored.map(|stored| stored.value))
    }

    async fn take(&self, scope: &str, key: &str) -> Result<Option<Value>, Error> {
        let stored: Option<Stored> = self.call("ephemeral_take", json!({"scope": scope, "key": key})).await?;
        Ok(stored.map(|stored| stored.value))
    }

    async fn count(&self, scope: &str, key: &str, window: Duration) -> Result<u64, Error> {
        self.call("ephemeral_count", json!({"scope": scope, "key": key, "window_ms": millis(window)})).await
    }

    async fn sweep(&self, at_most: u32) -> Result<u64, Error> {
        self.call("ephemeral_sweep", json!({"at_most": at_most})).await
    }
}
