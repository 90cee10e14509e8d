//! What a store of expiring state does.

use async_trait::async_trait;
use serde_json::Value;
use std::time::Duration;

/// The store could not do it; nothing is known about whether it did.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("expiring state cannot be reached")]
    Database(#[from] database::Error),
    #[error("expiring state cannot be reached")]
    Dynamo(#[source] Box<dyn std::error::Error + Send + Sync>),
    #[error("a value in expiring state has an unexpected shape")]
    Shape(#[from] serde_json::Error),
}

/// One engine. Times to live have a resolution of a millisecond.
#[async_trait]
pub trait Store: Send + Sync {
    async fn put_if_absent(&self, scope: &str, key: &str, value: &Value, ttl: Duration) -> Result<bool, Error>;
    async fn put(&self, scope: &str, key: &str, value: &Value, ttl: Duration) -> Result<(), Error>;
    async fn get(&self, scope: &str, key: &str) -> Result<Option<Value>, Error>;
    async fn take(&self, scope: &str, key: &str) -> Result<Option<Value>, Error>;
    async fn count(&self, scope: &str, key: &str, window: Duration) -> Result<u64, Error>;
    async fn sweep(&self, at_most: u32) -> Result<u64, Error>;
}

/// Milliseconds, rounded up: nothing expires early.
pub(crate) fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_nanos().div_ceil(1_000_000)).unwrap_or(u64::MAX)
}
