use super::{KeyFile, KeyWrap, WrapError};
use std::{path::Path, sync::Arc};

/// What a deployed function wraps with: `AGENTOPIA_VAULT_KMS_KEYS`, comma-separated KMS key ARNs, the newest last (needs the feature
/// `kms`), or `AGENTOPIA_VAULT_KEY_FILE`, a path.
pub async fn from_environment() -> Result<Arc<dyn KeyWrap>, WrapError> {
    #[cfg(feature = "kms")]
    if let Ok(keys) = std::env::var("AGENTOPIA_VAULT_KMS_KEYS") {
        let keys = keys.split(',').map(str::trim).filter(|key| !key.is_empty()).map(str::to_owned);
        return Ok(Arc::new(super::Kms::connect(keys.collect()).await?));
    }
    match std::env::var("AGENTOPIA_VAULT_KEY_FILE") {
        Ok(path) => Ok(Arc::new(KeyFile::open(Path::new(&path))?)),
        Err(_) => Err(WrapError::Unconfigured),
    }
}
