//! The catalog: imports, vectors, search.

use crate::{Caller, Database, Error};
use protocol::{
    Timestamp,
    catalog::{Import, ServerJson},
    ids::ImportId,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::json;
use uuid::Uuid;

/// An entry of a registry's page.
#[derive(Clone, Debug, Serialize)]
pub struct PageEntry {
    pub server: ServerJson,
    /// `active`, `deprecated` or `deleted`.
    pub status: String,
    pub updated_at: Option<Timestamp>,
}

/// An entry that was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Skipped {
    pub name: String,
    pub reason: String,
}

/// A page and the cursor behind it; both are stored or neither is.
#[derive(Clone, Debug, Serialize)]
pub struct Page {
    pub id: ImportId,
    pub worker: Uuid,
    /// None behind the last page.
    pub cursor: Option<String>,
    pub servers: Vec<PageEntry>,
    pub skipped: Vec<Skipped>,
}

/// An entry whose vector is missing or old.
#[derive(Clone, Debug, Deserialize)]
pub struct Pending {
    pub id: i64,
    pub name: String,
    pub title: String,
    pub description: String,
    pub package: Option<String>,
    /// Digest of what the vector is made from; goes back with it.
    pub content: String,
}

/// A vector for an entry.
#[derive(Clone, Debug, Serialize)]
pub struct Embedded {
    pub id: i64,
    pub content: String,
    /// As pgvector writes it: `[0.1,…]`.
    pub vector: String,
}

/// What to search for.
#[derive(Clone, Debug, Serialize)]
pub struct Wanted<T> {
    /// Words with their weights.
    pub terms: Vec<T>,
    /// Orders what is near; None searches by words alone.
    pub vector: Option<String>,
    /// The need in its own words.
    pub raw: Option<String>,
}

/// A vector as pgvector reads it.
pub fn vector(values: &[f32]) -> String {
    use std::fmt::Write;
    let mut text = String::with_capacity(values.len() * 11 + 2);
    for (at, value) in values.iter().enumerate() {
        text.push(if at == 0 { '[' } else { ',' });
        write!(text, "{value:.5}").expect("writing to a string cannot fail");
    }
    text.push(']');
    text
}

#[derive(Deserialize)]
struct Changed {
    changed: u64,
}

#[derive(Deserialize)]
struct Stored {
    stored: u64,
}

impl Database {
    /// Goes on with the last import of this registry, or starts one. `worker` fences: an earlier worker's next page is
    /// refused.
    pub async fn catalog_import_begin(
        &self,
        caller: &Caller,
        url: &str,
        full: bool,
        worker: Uuid,
    ) -> Result<Import, Error> {
        self.call(caller, "catalog_import_begin", &json!({"url": url, "full": full, "worker": worker})).await
    }

    pub async fn catalog_import_page(&self, caller: &Caller, page: &Page) -> Result<Import, Error> {
        self.call(caller, "catalog_import_page", page).await
    }

    /// Ends it for now; what was stored stays, and the next begin goes on behind it.
    pub async fn catalog_import_fail(
        &self,
        caller: &Caller,
        id: ImportId,
        worker: Uuid,
        detail: &str,
    ) -> Result<Option<Import>, Error> {
        self.call(caller, "catalog_import_fail", &json!({"id": id, "worker": worker, "detail": detail})).await
    }

    pub async fn catalog_import_get(&self, caller: &Caller, id: ImportId) -> Result<Import, Error> {
        self.call(caller, "catalog_import_get", &json!({"id": id})).await
    }

    /// Entries whose vector is missing, old or another model's; the well-known first.
    pub async fn catalog_pending(&self, caller: &Caller, model: &str, limit: usize) -> Result<Vec<Pending>, Error> {
        self.call(caller, "catalog_pending", &json!({"model": model, "limit": limit})).await
    }

    pub async fn catalog_embed(&self, caller: &Caller, model: &str, rows: &[Embedded]) -> Result<u64, Error> {
        let stored: Stored = self.call(caller, "catalog_embed", &json!({"model": model, "rows": rows})).await?;
        Ok(stored.stored)
    }

    /// For each need what its words or its vector find, unordered: at most about three times `limit`.
    pub async fn catalog_search<T: Serialize, E: DeserializeOwned>(
        &self,
        caller: &Caller,
        model: &str,
        needs: &[Wanted<T>],
        limit: usize,
    ) -> Result<Vec<Vec<E>>, Error> {
        self.call(caller, "catalog_search", &json!({"model": model, "needs": needs, "limit": limit})).await
    }

    /// Whole entries in the order of `names`; an unknown one is left out.
    pub async fn catalog_server_list(&self, caller: &Caller, names: &[&str]) -> Result<Vec<ServerJson>, Error> {
        self.call(caller, "catalog_server_list", &json!({"names": names})).await
    }

    pub async fn catalog_server_get(&self, caller: &Caller, name: &str) -> Result<ServerJson, Error> {
        self.call(caller, "catalog_server_get", &json!({"name": name})).await
    }

    /// Entries from elsewhere than an import; how many changed something.
    pub async fn catalog_server_upsert(
        &self,
        caller: &Caller,
        source: &str,
        servers: &[ServerJson],
    ) -> Result<u64, Error> {
        let changed: Changed =
            self.call(caller, "catalog_server_upsert", &json!({"source": source, "servers": servers})).await?;
        Ok(changed.changed)
    }
}
