//! The door to the catalog: what a turn asks of a search.

use async_trait::async_trait;
use catalog::{Selection, Selector};
use database::Caller;
use domain::plan::{Candidate, Need};
use edge::Error;

/// What was found for a request.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The request asks for nothing that a server in the catalog does.
    pub no_match: bool,
    pub needs: Vec<Need>,
}

#[async_trait]
pub trait Find: Send + Sync {
    /// Gate, split and search.
    async fn request(&self, caller: &Caller, text: &str, limit: usize) -> Result<Found, Error>;

    /// Search for needs that somebody else split.
    async fn needs(&self, caller: &Caller, needs: &[String], limit: usize) -> Result<Found, Error>;
}

#[async_trait]
impl Find for Selector {
    async fn request(&self, caller: &Caller, text: &str, limit: usize) -> Result<Found, Error> {
        self.select(caller, text, limit).await.map(found).map_err(failed)
    }

    async fn needs(&self, caller: &Caller, needs: &[String], limit: usize) -> Result<Found, Error> {
        self.select_needs(caller, needs, limit).await.map(found).map_err(failed)
    }
}

fn found(selection: Selection) -> Found {
    let candidate = |found: catalog::Candidate| Candidate {
        server: found.server,
        confidence: found.confidence,
        known: found.known,
        why: found.why,
    };
    let need = |need: catalog::NeedResult| Need {
        need: need.need,
        candidates: need.candidates.into_iter().map(candidate).collect(),
    };
    Found { no_match: selection.no_match, needs: selection.needs.into_iter().map(need).collect() }
}

fn failed(error: catalog::Error) -> Error {
    match error {
        catalog::Error::Database(error) => error.into(),
        error => Error::internal(error),
    }
}
