//! Which embedder the environment names.

use super::{Embedder, Error, MiniLm, OpenAi};
use std::{env, path::PathBuf, sync::Arc};

/// The endpoint when one is named, else the model in `AGENTOPIA_MODEL_DIR`.
pub fn from_env() -> Result<Arc<dyn Embedder>, Error> {
    let variable = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(url) = variable("AGENTOPIA_EMBEDDING_URL") {
        let model = variable("AGENTOPIA_EMBEDDING_MODEL").unwrap_or_else(|| "text-embedding-3-small".to_owned());
        let key = variable("AGENTOPIA_EMBEDDING_KEY").map(protocol::chat::Secret::new);
        return Ok(Arc::new(OpenAi::new(&url, &model, key)?));
    }
    let folder = env::var_os("AGENTOPIA_MODEL_DIR").map(PathBuf::from).ok_or(Error::NotConfigured)?;
    Ok(Arc::new(MiniLm::load(&folder)?))
}
