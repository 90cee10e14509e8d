#![doc = include_str!("../README.md")]

#[cfg(feature = "hosted")]
mod dynamo;
mod postgres;
mod store;

pub use store::{Error, Store};

use database::Database;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// The expiring state of this installation. Cheap to clone.
#[derive(Clone)]
pub struct Ephemeral(Arc<dyn Store>);

impl Ephemeral {
    pub fn new(store: impl Store + 'static) -> Self {
        Self(Arc::new(store))
    }

    /// In table `app.ephemeral`.
    pub fn postgres(database: Database) -> Self {
        Self::new(postgres::Postgres::new(database))
    }

    /// In a DynamoDB table with the string key `id` and TTL on the attribute `expires`.
    #[cfg(feature = "hosted")]
    pub fn dynamo(client: aws_sdk_dynamodb::Client, table: impl Into<String>) -> Self {
        Self::new(dynamo::Dynamo::new(client, table.into()))
    }

    /// In the DynamoDB table that `AGENTOPIA_EPHEMERAL_TABLE` names, else in Postgres.
    #[cfg(feature = "hosted")]
    pub async fn from_env(database: Database) -> Self {
        match std::env::var("AGENTOPIA_EPHEMERAL_TABLE") {
            Ok(table) if !table.is_empty() => {
                Self::dynamo(aws_sdk_dynamodb::Client::new(&aws_config::load_from_env().await), table)
            }
            _ => Self::postgres(database),
        }
    }

    /// True the first time within `ttl`: for what may be used once.
    pub async fn once(&self, scope: &str, key: &str, ttl: Duration) -> Result<bool, Error> {
        self.0.put_if_absent(scope, key, &Value::Bool(true), ttl).await
    }

    /// Whether it was put: false when something unexpired is there.
    pub async fn put_if_absent(
        &self,
        scope: &str,
        key: &str,
        value: &impl Serialize,
        ttl: Duration,
    ) -> Result<bool, Error> {
        self.0.put_if_absent(scope, key, &serde_json::to_value(value)?, ttl).await
    }

    /// Puts it, whatever was there.
    pub async fn put(&self, scope: &str, key: &str, value: &impl Serialize, ttl: Duration) -> Result<(), Error> {
        self.0.put(scope, key, &serde_json::to_value(value)?, ttl).await
    }

    pub async fn get<R: DeserializeOwned>(&self, scope: &str, key: &str) -> Result<Option<R>, Error> {
        Ok(self.0.get(scope, key).await?.map(serde_json::from_value).transpose()?)
    }

    /// Gets and removes it: of several that take at once, one gets it.
    pub async fn take<R: DeserializeOwned>(&self, scope: &str, key: &str) -> Result<Option<R>, Error> {
        Ok(self.0.take(scope, key).await?.map(serde_json::from_value).transpose()?)
    }

    /// Counts this call and returns how many there were in the window that the first of them opened.
    pub async fn count(&self, scope: &str, key: &str, window: Duration) -> Result<u64, Error> {
        self.0.count(scope, key, window).await
    }

    /// Removes what has expired, `at_most` entries, and returns how many; DynamoDB does it by itself.
    pub async fn sweep(&self, at_most: u32) -> Result<u64, Error> {
        self.0.sweep(at_most).await
    }
}
