//! Which process serves a home. A lock says whether one does, a file says which.

use super::{Home, Process, read_json, write_json};
use crate::trouble::{self, Trouble};
use serde::{Deserialize, Serialize};
use std::fs::{self, File, TryLockError};

/// Held as long as the process lives, however it ends.
pub struct Lock(#[allow(dead_code, reason = "the lock lives as long as the open file")] File);

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub process: Process,
    pub url: String,
    /// The local toolbox's `/mcp`.
    pub gateway: String,
    pub version: String,
    /// False while it starts.
    pub ready: bool,
}

impl Lock {
    /// `None` when another process holds it.
    pub fn take(home: &Home) -> Result<Option<Self>, Trouble> {
        let path = home.run().join("lock");
        let open = File::options().create(true).truncate(false).write(true).open(&path);
        let file = open.map_err(trouble::file("Opening", &path))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(trouble::file("Locking", &path)(error)),
        }
    }
}

impl Instance {
    /// The process that serves `home` now.
    pub fn running(home: &Home) -> Result<Option<Self>, Trouble> {
        if !home.run().join("lock").exists() || Lock::take(home)?.is_some() {
            return Ok(None);
        }
        read_json(&home.run().join("agentopia.json"))
    }

    /// The process that serves `home` now, or what to do about there being none.
    pub fn required(home: &Home) -> Result<Self, Trouble> {
        match Self::running(home)? {
            Some(instance) if instance.ready => Ok(instance),
            Some(_) => Err(Trouble::new(
                format!("Agentopia at {} is still starting.", home.path().display()),
                "Wait a few seconds; `agentopia status` says when it is ready.",
            )),
            None => Err(Trouble::new(
                format!("Agentopia is not up at {}.", home.path().display()),
                format!("Start it: agentopia up --detach --home {}", home.path().display()),
            )),
        }
    }

    pub fn save(&self, home: &Home) -> Result<(), Trouble> {
        write_json(&home.run().join("agentopia.json"), self)
    }

    pub fn forget(home: &Home) {
        // Without the lock the file says nothing anyway.
        let _ = fs::remove_file(home.run().join("agentopia.json"));
    }
}
