//! The environment of a hosted function, read once at start.
//!
//! | variable | is |
//! |---|---|
//! | `SUPABASE_URL` | the project, e.g. `https://<ref>.supabase.co`: where keys are and who issues tokens |
//! | `AGENTOPIA_JWKS_URL`, `AGENTOPIA_JWT_ISSUER` | the same two, said one by one |
//! | `SUPABASE_JWT_SECRET` | the shared secret of a project that still signs with HS256; absent: HS256 is refused |
//! | `AGENTOPIA_OPERATORS` | ids of the users who run this installation, separated by commas |
//! | `AGENTOPIA_ORIGINS` | origins of pages that may call from a browser, separated by commas |

use crate::{Context, Verifier};
use database::Database;
use ephemeral::Ephemeral;
use protocol::{chat::Secret, ids::UserId};
use std::env::{self, VarError};

/// What is wrong with the environment, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("set SUPABASE_URL, or AGENTOPIA_JWKS_URL: without keys no user can be recognised")]
    NoKeys,
    #[error("{0} holds {1:?}, which is not the id of a user")]
    NotAnId(&'static str, String),
    #[error("{0} is not UTF-8")]
    NotText(&'static str),
}

/// A context for a hosted function.
pub fn context(database: Database, ephemeral: Ephemeral) -> Result<Context, ConfigError> {
    let operators = list("AGENTOPIA_OPERATORS")?
        .into_iter()
        .map(|id| id.parse().map_err(|_| ConfigError::NotAnId("AGENTOPIA_OPERATORS", id)))
        .collect::<Result<Vec<UserId>, _>>()?;
    Ok(Context::new(database, verifier()?, ephemeral)
        .with_operators(operators)
        .with_origins(list("AGENTOPIA_ORIGINS")?))
}

fn verifier() -> Result<Verifier, ConfigError> {
    let project = variable("SUPABASE_URL")?.map(|url| url.trim_end_matches('/').to_owned());
    let under = |path: &str| project.as_ref().map(|url| format!("{url}{path}"));
    let keys = variable("AGENTOPIA_JWKS_URL")?.or_else(|| under("/auth/v1/.well-known/jwks.json"));
    let mut verifier = Verifier::jwks(keys.ok_or(ConfigError::NoKeys)?);
    if let Some(issuer) = variable("AGENTOPIA_JWT_ISSUER")?.or_else(|| under("/auth/v1")) {
        verifier = verifier.with_issuer(issuer);
    }
    if let Some(secret) = variable("SUPABASE_JWT_SECRET")? {
        verifier = verifier.with_shared_secret(&Secret::new(secret));
    }
    Ok(verifier)
}

fn variable(name: &'static str) -> Result<Option<String>, ConfigError> {
    match env::var(name) {
        Ok(value) if value.is_empty() => Ok(None),
        Ok(value) => Ok(Some(value)),
        Err(VarError::NotPresent) => Ok(None),
        Err(VarError::NotUnicode(_)) => Err(ConfigError::NotText(name)),
    }
}

fn list(name: &'static str) -> Result<Vec<String>, ConfigError> {
    let text = variable(name)?.unwrap_or_default();
    Ok(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(str::to_owned).collect())
}
