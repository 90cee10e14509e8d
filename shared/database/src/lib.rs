#![doc = include_str!("../README.md")]

pub mod agent;
mod api_key;
mod caller;
pub mod catalog;
#[cfg(feature = "hosted")]
mod config;
mod direct;
mod error;
mod event;
pub mod grant;
pub mod machine;
pub mod server;
mod tls;
pub mod toolbox;
pub mod vault;

#[cfg(feature = "embedded")]
pub mod embedded;
#[cfg(feature = "hosted")]
pub mod postgrest;
pub mod run;
pub mod session;

pub use caller::Caller;
#[cfg(feature = "hosted")]
pub use config::ConfigError;
pub use error::Error;

use serde::{Serialize, de::DeserializeOwned};
use std::{path::PathBuf, time::Duration};

/// The database, behind whichever door it was opened by. Cheap to clone; one for a process.
#[derive(Clone)]
pub struct Database(Door);

#[derive(Clone)]
enum Door {
    Direct(direct::Direct),
    #[cfg(feature = "hosted")]
    PostgRest(postgrest::PostgRest),
}

/// How the direct door behaves.
#[derive(Clone, Debug)]
pub struct Options {
    /// Connections at most. A Lambda instance answers one request at a time: 2 are plenty there.
    pub pool_size: usize,
    /// For opening a connection, and for waiting until one is free.
    pub connect_timeout: Duration,
    /// For one call. The login role's `statement_timeout` (15 s) ends the statement in the server before.
    pub call_timeout: Duration,
    /// More root certificates (PEM), for a server whose certificate the machine does not know.
    pub ca: Option<PathBuf>,
    /// The URL's role may become `agentopia_login`, and does so at once: for an operator's own Postgres, whose URL names a
    /// superuser. A pooler may refuse to pass this on.
    pub lower: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pool_size: 8,
            connect_timeout: Duration::from_secs(3),
            call_timeout: Duration::from_secs(20),
            ca: None,
            lower: false,
        }
    }
}

impl Database {
    /// The direct door, by a Postgres URL. Opens no connection yet; TLS wherever the host is not this machine.
    pub fn direct(url: &str, options: &Options) -> Result<Self, Error> {
        Ok(Self(Door::Direct(direct::Direct::new(url, options)?)))
    }

    /// The PostgREST door. Opens no connection yet.
    #[cfg(feature = "hosted")]
    pub fn postgrest(options: postgrest::Options) -> Result<Self, Error> {
        Ok(Self(Door::PostgRest(postgrest::PostgRest::new(options)?)))
    }

    /// Runs `api.<function>(arguments)` as `caller`, in one transaction and one round trip.
    pub async fn call<R: DeserializeOwned>(
        &self,
        caller: &Caller,
        function: &'static str,
        arguments: &(impl Serialize + ?Sized),
    ) -> Result<R, Error> {
        match &self.0 {
            Door::Direct(door) => door.call(caller, function, arguments).await,
            #[cfg(feature = "hosted")]
            Door::PostgRest(door) => door.call(caller, function, arguments).await,
        }
    }
}
