//! Vectors for entries that have none yet: in small batches, so that a search in between does not wait.

use crate::Error;
use database::{
    Caller, Database,
    catalog::{Embedded, Pending, vector},
};
use domain::text::content;
use models::embedding::Embedder;

/// Entries read from the database at once, and stored at once.
const PAGE: usize = 256;

/// Makes every missing vector; returns how many it made. Call it again when entries were stored meanwhile.
pub async fn index(database: &Database, embedder: &dyn Embedder, mut progress: impl FnMut(u64)) -> Result<u64, Error> {
    let caller = Caller::service();
    let mut made = 0;
    loop {
        let pending = database.catalog_pending(&caller, embedder.name(), PAGE).await?;
        if pending.is_empty() {
            return Ok(made);
        }
        let texts: Vec<String> = pending.iter().map(text).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let vectors = embedder.embed(&texts).await?;
        let rows: Vec<Embedded> = pending
            .into_iter()
            .zip(vectors)
            .map(|(entry, values)| Embedded { id: entry.id, content: entry.content, vector: vector(&values) })
            .collect();
        let stored = database.catalog_embed(&caller, embedder.name(), &rows).await?;
        if stored == 0 {
            // They were removed meanwhile; asking again would find the same or nothing.
            return Ok(made);
        }
        made += stored;
        progress(made);
    }
}

fn text(entry: &Pending) -> String {
    content(&entry.name, &entry.title, &entry.description, entry.package.as_deref())
}
