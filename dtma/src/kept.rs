//! What running servers were given in secret, kept for the daemon after this one: it must know what may not get out of a server
//! that it finds running, also while the control plane is away. It lies in a file system that is in memory, for this user alone,
//! and is gone when the machine ends, as the servers are. Where there is no such place nothing is kept, and the next daemon asks
//! the vault.

use crate::{docker::labels, ledger::write_atomically};
use protocol::{
    chat::Secret,
    ids::{ServerId, ToolboxId},
};
use rustix::fs::statfs;
use std::{
    fs::{self, DirBuilder},
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, MetadataExt},
    path::{Path, PathBuf},
};
use zeroize::Zeroizing;

/// File systems in memory, as the kernel numbers them: tmpfs and ramfs.
const IN_MEMORY: [u64; 2] = [0x0102_1994, 0x8584_58f6];

/// Cheap to clone.
#[derive(Clone, Debug)]
pub struct Kept(Option<PathBuf>);

impl Kept {
    /// The place of this machine's user.
    pub fn here() -> Self {
        let user = rustix::process::geteuid();
        let own = match user.is_root() {
            true => Some(PathBuf::from("/run/dtma")),
            false => std::env::var_os("XDG_RUNTIME_DIR").map(|own| Path::new(&own).join("dtma")),
        };
        let shared = PathBuf::from(format!("/dev/shm/dtma-{}", user.as_raw()));
        let place = own.into_iter().chain([shared]).find(|folder| match prepare(folder) {
            Ok(good) => good,
            Err(error) => {
                tracing::debug!(folder = %folder.display(), %error, "not a place to keep anything");
                false
            }
        });
        if place.is_none() {
            tracing::warn!(
                "nothing here is in memory and this user's alone: a daemon that is started again asks the vault"
            );
        }
        Self(place)
    }

    /// For tests: keeps nothing.
    pub fn nothing() -> Self {
        Self(None)
    }

    /// What the server of that container is given. None of the values has a zero byte in it.
    pub fn keep<'s>(&self, name: &str, secrets: impl Iterator<Item = &'s Secret>) {
        let Some(folder) = &self.0 else { return };
        let mut text = Zeroizing::new(Vec::new());
        for secret in secrets {
            text.extend_from_slice(secret.expose().as_bytes());
            text.push(0);
        }
        if text.is_empty() {
            return self.forget(name);
        }
        // Another toolbox of this user may have taken the folder away when it left.
        let kept = prepare(folder).and_then(|good| match good {
            true => write_atomically(&folder.join(name), &text),
            false => Err(io::Error::other("the folder is not this user's alone any more")),
        });
        if let Err(error) = kept {
            tracing::warn!(%error, "what a server was given could not be kept in memory");
        }
    }

    /// What it was given; none when that is not known here.
    pub fn of(&self, name: &str) -> Option<Vec<Secret>> {
        let text = Zeroizing::new(fs::read(self.0.as_ref()?.join(name)).ok()?);
        let values = text.strip_suffix(b"\0")?.split(|byte| *byte == 0);
        values.map(|value| Some(Secret::new(String::from_utf8(value.to_vec()).ok()?))).collect()
    }

    /// Forgets what the toolbox's other servers were given.
    pub fn retain(&self, toolbox: ToolboxId, wanted: impl Fn(&ServerId) -> bool) {
        let entries = self.0.iter().filter_map(|folder| fs::read_dir(folder).ok()).flatten().flatten();
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            if labels::server(toolbox, &name).is_some_and(|server| !wanted(&server)) {
                self.forget(&name);
            }
        }
    }

    fn forget(&self, name: &str) {
        let Some(folder) = &self.0 else { return };
        match fs::remove_file(folder.join(name)) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                tracing::warn!(%error, "a server's secrets stay in memory")
            }
            _ => {}
        }
    }

    /// Takes the folder away when nothing is in it any more.
    pub fn leave(&self) {
        if let Some(folder) = &self.0 {
            // Another toolbox of this user has something there.
            let _ = fs::remove_dir(folder);
        }
    }
}

/// Whether the folder is in memory and this user's alone, made if need be.
fn prepare(folder: &Path) -> io::Result<bool> {
    match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let seen = fs::symlink_metadata(folder)?;
    let own = seen.is_dir() && seen.uid() == rustix::process::geteuid().as_raw() && seen.mode() & 0o077 == 0;
    let kind = statfs(folder)?.f_type;
    Ok(own && u64::try_from(kind).is_ok_and(|kind| IN_MEMORY.contains(&kind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_is_there_again_until_it_is_forgotten() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let kept = Kept(Some(folder.path().join("dtma")));
        let secrets = ["one".to_owned(), "two\nlines".to_owned()].map(Secret::new);
        kept.keep("a", secrets.iter());
        let values = kept.of("a").unwrap();
        assert_eq!(values.iter().map(Secret::expose).collect::<Vec<_>>(), ["one", "two\nlines"]);
        assert_eq!(fs::metadata(folder.path().join("dtma/a")).unwrap().mode() & 0o777, 0o600);
        assert!(kept.of("b").is_none());
        kept.forget("a");
        kept.forget("a");
        assert!(kept.of("a").is_none());
        kept.keep("a", secrets.iter());
        kept.keep("a", [].iter());
        assert!(kept.of("a").is_none(), "a server that has none any more");
        kept.leave();
        kept.keep("a", secrets.iter());
        kept.leave();
        assert_eq!(kept.of("a").unwrap().len(), 2, "what is in use is not taken away");
        assert!(Kept::nothing().of("a").is_none());
    }

    #[test]
    fn what_a_server_had_that_is_wanted_no_more_is_forgotten() {
        let folder = tempfile::tempdir_in("/dev/shm").unwrap();
        let kept = Kept(Some(folder.path().join("dtma")));
        let (toolbox, other) = (ToolboxId::new(), ToolboxId::new());
        let [wanted, gone] = [ServerId::new(), ServerId::new()];
        let secret = [Secret::new("s".to_owned())];
        let names = [(toolbox, wanted), (toolbox, gone), (other, gone)].map(|(toolbox, id)| labels::name(toolbox, id));
        names.iter().for_each(|name| kept.keep(name, secret.iter()));
        kept.retain(toolbox, |server| *server == wanted);
        assert_eq!(
            names.map(|name| kept.of(&name).is_some()),
            [true, false, true],
            "another toolbox's is not ours to forget"
        );
    }

    #[test]
    fn only_a_folder_of_ones_own_in_memory_will_do() {
        // In every Linux.
        let memory = tempfile::tempdir_in("/dev/shm").unwrap();
        let folder = memory.path().join("dtma");
        assert!(prepare(&folder).unwrap());
        assert!(prepare(&folder).unwrap(), "again");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o750)).unwrap();
        assert!(!prepare(&folder).unwrap(), "others can look");
        std::os::unix::fs::symlink(&folder, memory.path().join("link")).unwrap();
        assert!(!prepare(&memory.path().join("link")).unwrap());
        assert!(prepare(&memory.path().join("no/folder")).is_err());
    }
}
