//! What finds servers: the embedding model, the selector over it, and what fills the catalog.

use crate::{home::Home, trouble::Trouble};
use catalog::{Selector, import::Importer};
use database::Database;
use models::embedding::{self, Embedder, MiniLm};
use std::sync::Arc;

pub(super) struct Search {
    pub(super) selector: Selector,
    pub(super) importer: Importer,
    /// The model is in this process, and costs nobody anything.
    own: bool,
}

impl Search {
    /// With the model that the environment names, else the one in the home folder. Takes about 0.2 s.
    pub(super) async fn load(home: &Home, database: &Database) -> Result<Self, Trouble> {
        let folder = home.model();
        let named = ["AGENTOPIA_EMBEDDING_URL", "AGENTOPIA_MODEL_DIR"];
        let named = named.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()));
        let own = std::env::var_os("AGENTOPIA_EMBEDDING_URL").is_none_or(|url| url.is_empty());
        let load = move || -> Result<Arc<dyn Embedder>, embedding::Error> {
            if named { embedding::from_env() } else { Ok(Arc::new(MiniLm::load(&folder)?)) }
        };
        let loaded = tokio::task::spawn_blocking(load).await;
        let embedder = loaded.map_err(|error| unusable(&error))?.map_err(|error| unusable(&error))?;
        Ok(Self {
            selector: Selector::new(database.clone(), embedder.clone()),
            importer: Importer::new(database.clone(), embedder),
            own,
        })
    }

    /// Does beforehand what the first search would wait for, and what an import that broke off left undone.
    pub(super) fn warmed(self) -> Self {
        self.importer.index_soon();
        let (selector, own) = (self.selector.clone(), self.own);
        tokio::spawn(async move {
            let warmed = async {
                selector.warm().await?;
                if own { selector.prepare().await } else { Ok(()) }
            };
            if let Err(error) = warmed.await {
                tracing::warn!(%error, "the search was not warmed up");
            }
        });
        self
    }
}

fn unusable(error: &(dyn std::error::Error + 'static)) -> Trouble {
    Trouble::new("The model that the search needs cannot be loaded.", "Run scripts/up: it installs what is missing.")
        .caused_by(error)
}
