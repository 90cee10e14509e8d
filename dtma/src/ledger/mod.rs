//! What survives a restart. A file that cannot be read is put aside and reported; it never stops the daemon, and it
//! never removes anything that runs.

mod certificate;
mod file;
mod identity;
mod pins;
mod series;
mod spool;

pub use certificate::Certificate;
pub use file::{Damage, Document, Error, write_atomically};
pub use identity::{Enrolment, Identity};
pub use pins::{Pin, Pins};
pub use series::{AllSeries, Series};
pub use spool::Spool;

use crate::update::Updates;
use protocol::toolbox::{DesiredState, Revocations};
use std::{
    fs,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// The state folder: 0700, and everything in it 0600.
#[derive(Clone, Debug)]
pub struct Ledger {
    folder: PathBuf,
}

impl Ledger {
    pub fn open(folder: &Path) -> Result<Self, Error> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(|e| Error::io(folder, e))?;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(|e| Error::io(folder, e))?;
        Ok(Self { folder: folder.to_path_buf() })
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Held by the daemon while it runs, so that two never serve one state.
    pub fn lock_path(&self) -> PathBuf {
        self.folder.join("lock")
    }

    /// Written at every change for `dtma status`; a hint, never read back by the daemon.
    pub fn status_path(&self) -> PathBuf {
        self.folder.join("state.json")
    }

    /// The pipes to servers: a hint like the rest, for a server holds its own.
    pub fn pipes(&self) -> PathBuf {
        self.folder.join("io")
    }

    pub fn enrolment(&self) -> Document<Enrolment> {
        Document::new(&self.folder, "enrolment")
    }

    pub fn desired(&self) -> Document<DesiredState> {
        Document::new(&self.folder, "desired")
    }

    pub fn revocations(&self) -> Document<Revocations> {
        Document::new(&self.folder, "revocations")
    }

    /// The latest time of the control plane that was heard, seconds since the epoch.
    pub fn clock(&self) -> Document<i64> {
        Document::new(&self.folder, "clock")
    }

    pub fn pins(&self) -> Document<Pins> {
        Document::new(&self.folder, "pins")
    }

    pub fn series(&self) -> Document<AllSeries> {
        Document::new(&self.folder, "series")
    }

    /// Events that wait for the control plane.
    pub fn spool(&self) -> Result<Spool, Error> {
        Spool::open(&self.folder.join("events"))
    }

    pub fn updates(&self) -> Document<Updates> {
        Document::new(&self.folder, "updates")
    }

    /// None before an enrolment, and of one that was made by a version without TLS.
    pub fn certificate(&self) -> Result<Option<Certificate>, Error> {
        Certificate::load(&self.folder.join("gateway.pem"))
    }

    pub fn keep_certificate(&self, certificate: &Certificate) -> Result<(), Error> {
        certificate.store(&self.folder.join("gateway.pem"))
    }

    pub fn identity(&self) -> Result<Identity, Error> {
        Identity::load_or_create(&self.folder.join("identity.key"))
    }
}
