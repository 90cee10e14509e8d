//! From a registry into the database, page by page, while searches go on.

use crate::{
    check::check,
    indexer,
    registry::{RawEntry, Registry, RegistryError},
};
use database::{
    Caller, Database,
    catalog::{Page, PageEntry, Skipped},
};
use models::embedding::Embedder;
use protocol::{
    catalog::{Import, ImportState},
    ids::ImportId,
};
use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use uuid::Uuid;

/// Starts imports and keeps vectors up to date. Cheap to clone; one for a process.
#[derive(Clone)]
pub struct Importer {
    database: Database,
    embedder: Arc<dyn Embedder>,
    /// Imports under way in this process, by the registry's address.
    running: Arc<Mutex<HashMap<String, ImportId>>>,
    /// Held by the one indexer of this process.
    indexing: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    #[error(transparent)]
    Registry(#[from] RegistryError),
    #[error("the import could not be stored")]
    Database(#[from] database::Error),
}

impl Importer {
    pub fn new(database: Database, embedder: Arc<dyn Embedder>) -> Self {
        Self { database, embedder, running: Arc::default(), indexing: Arc::default() }
    }

    /// Starts an import of this registry, or goes on with the one that was broken off; tells how far it is. An import that
    /// already runs here is only told about.
    pub async fn start(&self, registry: Registry, full: bool) -> Result<Import, ImportError> {
        let caller = Caller::service();
        let running = self.running().get(registry.url()).copied();
        if let Some(id) = running {
            return Ok(self.database.catalog_import_get(&caller, id).await?);
        }
        let worker = Uuid::now_v7();
        let import = self.database.catalog_import_begin(&caller, registry.url(), full, worker).await?;
        self.running().insert(registry.url().to_owned(), import.id);
        let (this, begun) = (self.clone(), import.clone());
        tokio::spawn(async move {
            let outcome = this.run(&registry, begun, worker).await;
            this.running().remove(registry.url());
            if let Err(error) = outcome {
                tracing::warn!(%error, url = registry.url(), "the import stopped; it goes on from there when it is started again");
            }
            this.index().await;
        });
        Ok(import)
    }

    /// The same where a process stops with its answer: works on it for so long and tells how far it came. The next call goes
    /// on from there.
    pub async fn work(&self, registry: &Registry, full: bool, time: Duration) -> Result<Import, ImportError> {
        let worker = Uuid::now_v7();
        let begun = self.database.catalog_import_begin(&Caller::service(), registry.url(), full, worker).await?;
        let id = begun.id;
        let work = async {
            // What it failed with stands in the progress.
            if let Err(error) = self.run(registry, begun, worker).await {
                tracing::warn!(%error, url = registry.url(), "the import stopped");
            }
            self.index().await;
        };
        let _ = tokio::time::timeout(time, work).await;
        Ok(self.progress(id).await?)
    }

    pub async fn progress(&self, id: ImportId) -> Result<Import, database::Error> {
        self.database.catalog_import_get(&Caller::service(), id).await
    }

    /// Makes missing vectors, unless this process is already at it.
    pub fn index_soon(&self) {
        let this = self.clone();
        if this.indexing.try_lock().is_ok() {
            tokio::spawn(async move { this.index().await });
        }
    }

    /// Makes missing vectors; waits for its turn and until all are made.
    pub async fn index(&self) {
        let _alone = self.indexing.lock().await;
        if let Err(error) = indexer::index(&self.database, self.embedder.as_ref(), |_| {}).await {
            tracing::warn!(%error, "entries without a vector are found by their words only until the next import or start");
        }
    }

    /// Every page from the import's cursor on.
    pub async fn run(&self, registry: &Registry, begun: Import, worker: Uuid) -> Result<Import, ImportError> {
        let id = begun.id;
        match self.pages(registry, begun, worker).await {
            Ok(import) => Ok(import),
            Err(error) => {
                let detail = error.to_string();
                // What cannot be written now is seen as a stalled import, and resumed all the same.
                if let Err(unwritten) = self.database.catalog_import_fail(&Caller::service(), id, worker, &detail).await
                {
                    tracing::warn!(error = %unwritten, "the end of the import could not be written down");
                }
                Err(error)
            }
        }
    }

    async fn pages(&self, registry: &Registry, mut import: Import, worker: Uuid) -> Result<Import, ImportError> {
        let mut seen: HashSet<String> = import.cursor.iter().cloned().collect();
        let mut resumed = import.cursor.is_some();
        while import.state == ImportState::Running {
            let page = match registry.page(import.cursor.as_deref(), import.since).await {
                // A cursor from before the break may mean nothing any more; what was stored is only seen again.
                Err(error @ RegistryError::Refused(_)) if resumed && !error.passes() => {
                    seen.clear();
                    registry.page(None, import.since).await?
                }
                page => page?,
            };
            resumed = false;
            if page.next.as_ref().is_some_and(|next| !seen.insert(next.clone())) {
                return Err(RegistryError::Loop.into());
            }
            let mut stored =
                Page { id: import.id, worker, cursor: page.next, servers: Vec::new(), skipped: Vec::new() };
            for entry in page.entries {
                match checked(&entry) {
                    Ok(entry) => stored.servers.push(entry),
                    Err(skipped) => stored.skipped.push(skipped),
                }
            }
            import = self.database.catalog_import_page(&Caller::service(), &stored).await?;
            tracing::info!(
                pages = import.pages,
                servers = import.servers,
                embedded = import.embedded,
                "a page of the registry is stored"
            );
            self.index_soon();
        }
        Ok(import)
    }

    fn running(&self) -> MutexGuard<'_, HashMap<String, ImportId>> {
        self.running.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

fn checked(entry: &RawEntry) -> Result<PageEntry, Skipped> {
    let name = || {
        entry
            .server
            .get("name")
            .and_then(|name| name.as_str())
            .unwrap_or("(no name)")
            .chars()
            .filter(|c| !c.is_control())
            .take(200)
            .collect()
    };
    let skipped = |reason| Skipped { name: name(), reason };
    if !["active", "deprecated", "deleted"].contains(&entry.status.as_str()) {
        return Err(skipped("its status is unknown".to_owned()));
    }
    let server = check(&entry.server).map_err(skipped)?;
    Ok(PageEntry { server, status: entry.status.clone(), updated_at: entry.updated_at })
}
