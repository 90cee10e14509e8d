//! The folder in which everything of one installation lies.
//!
//! ```text
//! bin/         agentopia, dtma                    owner.json   the owner's account, 0600
//! postgres/    data, wheel                        config.json  ports and the local toolbox
//! model/       the embedding model                run/         locks, who runs, the cached token; 0700
//! keys/        0700, each key 0600                logs/        one file a program
//! toolbox/     dtma's state, 0700
//! ```
//!
//! The folder itself can be walked through, and not listed where we made it: Postgres may run as another user.

mod config;
mod instance;
pub mod keys;
mod owner;
mod process;

pub use config::{Config, DEFAULT_PORT};
pub use instance::{Instance, Lock};
pub use owner::Owner;
pub use process::Process;

use crate::trouble::{self, Trouble};
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
};

#[derive(Clone, Debug)]
pub struct Home(PathBuf);

impl Home {
    /// The folder that was asked for, or `~/.agentopia`.
    pub fn locate(asked: Option<PathBuf>) -> Result<Self, Trouble> {
        let path = match asked {
            Some(path) => path,
            None => std::env::home_dir()
                .filter(|home| !home.as_os_str().is_empty())
                .ok_or_else(|| Trouble::new("There is no home folder to use.", "Say one with --home DIR."))?
                .join(".agentopia"),
        };
        std::path::absolute(&path).map(Self).map_err(trouble::file("Finding", &path))
    }

    /// Makes what is missing of it.
    pub fn prepare(&self) -> Result<(), Trouble> {
        // One that was there may be for more than us: others come to pass through it, and no more is changed.
        match fs::metadata(&self.0) {
            Ok(about) if about.is_dir() => folder(&self.0, about.permissions().mode() & 0o7777 | 0o011)?,
            _ => folder(&self.0, 0o711)?,
        }
        folder(&self.postgres(), 0o755)?;
        for private in [self.keys(), self.toolbox(), self.run(), self.logs()] {
            folder(&private, 0o700)?;
        }
        Ok(())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn bin(&self) -> PathBuf {
        self.0.join("bin")
    }

    pub fn postgres(&self) -> PathBuf {
        self.0.join("postgres")
    }

    pub fn wheel(&self) -> PathBuf {
        self.0.join("postgres/wheel")
    }

    pub fn model(&self) -> PathBuf {
        self.0.join("model")
    }

    pub fn keys(&self) -> PathBuf {
        self.0.join("keys")
    }

    pub fn toolbox(&self) -> PathBuf {
        self.0.join("toolbox")
    }

    pub fn run(&self) -> PathBuf {
        self.0.join("run")
    }

    pub fn logs(&self) -> PathBuf {
        self.0.join("logs")
    }

    /// A program of ours: the one in `bin/`, or the one beside this program (a build that was not installed).
    pub fn program(&self, name: &str) -> Result<PathBuf, Trouble> {
        let beside = std::env::current_exe().ok().and_then(|path| Some(path.parent()?.join(name)));
        [Some(self.bin().join(name)), beside].into_iter().flatten().find(|path| path.is_file()).ok_or_else(|| {
            Trouble::new(
                format!("The program {name} is not there."),
                "Run scripts/up: it builds the programs and copies them.".to_owned(),
            )
            .because(format!("{} does not exist", self.bin().join(name).display()))
        })
    }
}

/// Makes a folder with exactly this mode, and gives one that is there this mode.
fn folder(path: &Path, mode: u32) -> Result<(), Trouble> {
    let made = fs::DirBuilder::new().recursive(true).mode(mode).create(path);
    made.and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(trouble::file("Making", path))
}

/// Reads a JSON file; `None` when it is not there.
pub fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Trouble> {
    let text = match fs::read(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(trouble::file("Reading", path)(error)),
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Trouble::new(
            format!("The file {} cannot be understood.", path.display()),
            "Mend it, or move it away: what can be made anew is made anew.",
        )
        .because(error.to_string())
    })
}

/// Writes a JSON file that only its owner reads, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<(), Trouble> {
    let mut text = serde_json::to_vec_pretty(value).expect("what is kept is plain JSON");
    text.push(b'\n');
    write_private(path, &text)
}

/// Writes a file that only its owner reads, whole or not at all.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<(), Trouble> {
    // Under a name of its own first: two commands may write the same file at once.
    let write = || {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(path))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        file.persist(path).map(drop).map_err(|failed| failed.error)
    };
    write().map_err(trouble::file("Writing", path))
}

#[cfg(test)]
mod tests;
