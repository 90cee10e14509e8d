//! One document in one file: a line with format, kind and SHA-256, then JSON. Replaced as a whole: written beside,
//! flushed, renamed, and the folder flushed, so that a reader sees the old one or the new one.

use serde::{Serialize, de::DeserializeOwned};
use sha2::{Digest, Sha256};
use std::{
    fs,
    io::{self, Write},
    marker::PhantomData,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

const FORMAT: &str = "agentopia-ledger";
const VERSION: &str = "1";

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} cannot be read or written", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} is not a key", path.display())]
    Key { path: PathBuf },
    #[error("a new key could not be made")]
    Random,
    #[error("the gateway's certificate could not be made")]
    Certificate(#[from] rcgen::Error),
    #[error("the document could not be written as JSON")]
    Json(#[from] serde_json::Error),
}

impl Error {
    pub(super) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

/// Why a document that is there cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error("its first line is not that of a ledger document")]
    Header,
    #[error("it was written by another version (format {0})")]
    Version(String),
    #[error("it is torn: the checksum does not fit")]
    Checksum,
    #[error("its content has another shape")]
    Shape,
}

pub struct Document<T> {
    path: PathBuf,
    kind: &'static str,
    content: PhantomData<fn() -> T>,
}

impl<T: Serialize + DeserializeOwned> Document<T> {
    pub(super) fn new(folder: &Path, kind: &'static str) -> Self {
        Self { path: folder.join(format!("{kind}.ledger")), kind, content: PhantomData }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// `Ok(None)` when there is none, or when it is damaged: that is logged, and the file put aside for a person to see.
    pub fn load(&self) -> Result<Option<T>, Error> {
        let bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(Error::io(&self.path, e)),
        };
        match self.decode(&bytes) {
            Ok(content) => Ok(Some(content)),
            Err(damage) => {
                let aside = self.path.with_extension("damaged");
                tracing::error!(file = %self.path.display(), aside = %aside.display(), %damage, "a ledger document is put aside");
                fs::rename(&self.path, &aside).map_err(|e| Error::io(&self.path, e))?;
                Ok(None)
            }
        }
    }

    pub fn store(&self, content: &T) -> Result<(), Error> {
        let body = serde_json::to_vec(content)?;
        let mut bytes = format!("{FORMAT} {VERSION} {} {}\n", self.kind, digest(&body)).into_bytes();
        bytes.extend_from_slice(&body);
        write_atomically(&self.path, &bytes).map_err(|e| Error::io(&self.path, e))
    }

    pub fn decode(&self, bytes: &[u8]) -> Result<T, Damage> {
        let end = bytes.iter().position(|b| *b == b'\n').ok_or(Damage::Header)?;
        let line = std::str::from_utf8(&bytes[..end]).map_err(|_| Damage::Header)?;
        let body = &bytes[end + 1..];
        let words: Vec<&str> = line.split(' ').collect();
        let [format, version, kind, sum] = words[..] else { return Err(Damage::Header) };
        if format != FORMAT || kind != self.kind {
            return Err(Damage::Header);
        }
        if version != VERSION {
            return Err(Damage::Version(version.into()));
        }
        if sum != digest(body) {
            return Err(Damage::Checksum);
        }
        serde_json::from_slice(body).map_err(|_| Damage::Shape)
    }
}

fn digest(body: &[u8]) -> String {
    crate::hex(&Sha256::digest(body))
}

/// Owner-only, whole or not at all.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let beside = path.with_extension("new");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&beside, path)?;
    match path.parent() {
        Some(folder) => fs::File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
