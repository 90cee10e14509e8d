//! Which door a hosted function opens, read from the environment once at start.
//!
//! | variable | is |
//! |---|---|
//! | `DATABASE_URL` | the direct door: Postgres or its pooler, with the login role `agentopia_login` |
//! | `DATABASE_CA` | a PEM file with the certificate authority of that server, where the machine does not know it |
//! | `DATABASE_POOL` | connections at most; 2 when absent |
//! | `SUPABASE_URL` | without `DATABASE_URL`: the PostgREST door of this project |
//! | `SUPABASE_KEY` | the project's publishable key |
//! | `SUPABASE_JWT_SECRET` | what we sign for toolboxes and the control plane with, or |
//! | `SUPABASE_SIGNING_KEY`, `SUPABASE_SIGNING_KID` | an ES256 key that the project knows (PKCS#8 PEM), and its id |

use crate::{
    Database, Error, Options,
    postgrest::{self, Signer},
};
use protocol::chat::Secret;
use std::env;

/// What is wrong with the environment, and how to mend it.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("set DATABASE_URL, or SUPABASE_URL for the PostgREST door")]
    NoDatabase,
    #[error(
        "set SUPABASE_JWT_SECRET, or SUPABASE_SIGNING_KEY and SUPABASE_SIGNING_KID: without them no toolbox can be served"
    )]
    NoSigner,
    #[error("DATABASE_POOL is {0:?}, which is no number of connections")]
    NotANumber(String),
    #[error("the database's settings are not usable")]
    Unusable(#[from] Error),
}

impl Database {
    /// The door that the environment names.
    pub fn from_env() -> Result<Self, ConfigError> {
        Self::configured(|name| env::var(name).ok().filter(|value| !value.is_empty()))
    }

    fn configured(read: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        if let Some(url) = read("DATABASE_URL") {
            let pool =
                read("DATABASE_POOL").map_or(Ok(2), |text| text.parse().map_err(|_| ConfigError::NotANumber(text)))?;
            let ca = read("DATABASE_CA").map(Into::into);
            return Ok(Self::direct(&url, &Options { pool_size: pool, ca, ..Options::default() })?);
        }
        let url = read("SUPABASE_URL").ok_or(ConfigError::NoDatabase)?;
        let signer = match (read("SUPABASE_JWT_SECRET"), read("SUPABASE_SIGNING_KEY"), read("SUPABASE_SIGNING_KID")) {
            (Some(secret), _, _) => Signer::shared(&Secret::new(secret)),
            (None, Some(pem), Some(kid)) => Signer::es256(kid, &Secret::new(pem))?,
            _ => return Err(ConfigError::NoSigner),
        };
        Ok(Self::postgrest(postgrest::Options {
            key: read("SUPABASE_KEY").map(Secret::new),
            signer: Some(signer),
            ..postgrest::Options::new(format!("{}/rest/v1", url.trim_end_matches('/')))
        })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(settings: &[(&str, &str)]) -> Result<Database, ConfigError> {
        let find = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Database::configured(find)
    }

    #[test]
    fn the_environment_names_the_door() {
        let direct =
            open(&[("DATABASE_URL", "postgres://a@db.example.com/x"), ("SUPABASE_URL", "https://x.supabase.co")]);
        assert!(matches!(direct.expect("complete").0, crate::Door::Direct(_)));
        let postgrest = open(&[("SUPABASE_URL", "https://x.supabase.co"), ("SUPABASE_JWT_SECRET", "s")]);
        assert!(matches!(postgrest.expect("complete").0, crate::Door::PostgRest(_)));
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(matches!(open(&[]), Err(ConfigError::NoDatabase)));
        assert!(matches!(open(&[("SUPABASE_URL", "https://x.supabase.co")]), Err(ConfigError::NoSigner)));
        let pool = open(&[("DATABASE_URL", "postgres://a@localhost/x"), ("DATABASE_POOL", "many")]);
        assert!(matches!(pool, Err(ConfigError::NotANumber(_))));
        assert!(matches!(open(&[("DATABASE_URL", "nonsense")]), Err(ConfigError::Unusable(_))));
    }
}
