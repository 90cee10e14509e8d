use async_trait::async_trait;
use serde::Serialize;
use serde_json::Value;

/// An event before it has a number.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Entry {
    /// `run.started`, `model.delta`, `model.answered`, `tool.called`, `tool.returned` or `run.finished`.
    pub kind: &'static str,
    pub data: Value,
}

impl Entry {
    pub(crate) fn new(kind: &'static str, data: Value) -> Self {
        Self { kind, data }
    }
}

/// The run cannot go on: its journal cannot be written, or another worker has it.
#[derive(Debug, thiserror::Error)]
#[error("the run's journal cannot be written")]
pub struct JournalError(#[source] pub Box<dyn std::error::Error + Send + Sync>);

/// Where a run is written down. Append-only, one round trip for each call.
#[async_trait]
pub trait Journal: Send + Sync {
    /// Answers whether the run's user asked it to stop. `end` is `finished`, `failed` or `cancelled`, with the last
    /// entries.
    async fn append(&self, entries: Vec<Entry>, end: Option<&'static str>) -> Result<bool, JournalError>;
}
