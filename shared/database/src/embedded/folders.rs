//! Where a cluster's files lie, and whose they are.

use super::{Error, user::User};
use sha2::{Digest, Sha256};
use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink},
    path::{Path, PathBuf},
};

/// Where root's clusters lie when their user cannot reach the folder that was asked for.
const ELSEWHERE: &str = "/var/lib/agentopia";
/// `sun_path` holds 108 bytes; the socket's own name is `/.s.PGSQL.` and a port.
const LONGEST_RUN: usize = 107 - 16;

#[derive(Clone, Debug)]
pub(super) struct Folders {
    /// Who runs the cluster when we are root.
    pub(super) user: Option<User>,
    pub(super) base: PathBuf,
    pub(super) data: PathBuf,
    pub(super) run: PathBuf,
    pub(super) log: PathBuf,
}

impl Folders {
    pub(super) fn prepare(folder: &Path) -> Result<Self, Error> {
        let user = User::needed()?;
        fs::create_dir_all(folder).map_err(Error::folder(folder))?;
        let folder = folder.canonicalize().map_err(Error::folder(folder))?;
        let base = match user {
            Some(user) if !user.reaches(&folder) => {
                // Begun anew elsewhere, a cluster that is here would seem lost.
                if folder.join("data").symlink_metadata().is_ok_and(|about| about.is_dir()) {
                    let why = "its data is here, and the user that runs Postgres cannot reach it any more: let others pass \
                               through it and the folders above it (chmod go+x)";
                    return Err(Error::folder(&folder)(std::io::Error::other(why)));
                }
                elsewhere(&folder)?
            }
            _ => folder.clone(),
        };
        let mut run = base.join("run");
        if run.as_os_str().len() > LONGEST_RUN {
            run = std::env::temp_dir().join(format!("agentopia-{}", name_of(&folder)));
        }
        let log = base.join("log");
        for made in [&run, &log] {
            private(made, user)?;
        }
        let folders = Self { user, data: base.join("data"), run, log: log.join("postgres.log"), base };
        if let Some(user) = user {
            // initdb makes `data.new` and its rename to `data` happens in here.
            user.own(&folders.base)?;
        }
        if folders.base != folder {
            let link = folder.join("data");
            if link.symlink_metadata().is_err() {
                symlink(&folders.data, &link).map_err(Error::folder(&link))?;
            }
        }
        Ok(folders)
    }

    pub(super) fn password_file(&self) -> PathBuf {
        self.base.join("password")
    }

    pub(super) fn stored_password(&self) -> Result<Option<String>, Error> {
        let file = self.password_file();
        match fs::read_to_string(&file) {
            Ok(password) if !password.trim().is_empty() => Ok(Some(password.trim().to_owned())),
            Ok(_) => Ok(None),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::folder(&file)(error)),
        }
    }

    /// The cluster's password, made when there is none yet.
    pub(super) fn password(&self, make: impl FnOnce() -> String) -> Result<String, Error> {
        if let Some(password) = self.stored_password()? {
            return Ok(password);
        }
        let (file, password) = (self.password_file(), make());
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        let mut open = options.open(&file).map_err(Error::folder(&file))?;
        open.write_all(password.as_bytes()).and_then(|()| open.sync_all()).map_err(Error::folder(&file))?;
        if let Some(user) = self.user {
            user.own(&file)?;
        }
        Ok(password)
    }
}

fn elsewhere(folder: &Path) -> Result<PathBuf, Error> {
    let base = Path::new(ELSEWHERE).join(name_of(folder));
    fs::create_dir_all(&base).map_err(Error::folder(&base))?;
    for open in [Path::new(ELSEWHERE), &base] {
        fs::set_permissions(open, fs::Permissions::from_mode(0o755)).map_err(Error::folder(open))?;
    }
    Ok(base)
}

/// The same folder has the same name.
fn name_of(folder: &Path) -> String {
    let digest = Sha256::digest(folder.as_os_str().as_encoded_bytes());
    digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// A folder that only the cluster's user enters. One that somebody else made is refused.
fn private(path: &Path, user: Option<User>) -> Result<(), Error> {
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => user.map_or(Ok(()), |user| user.own(path)),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {
            let about = fs::symlink_metadata(path).map_err(Error::folder(path))?;
            let us = fs::metadata("/proc/self").map_err(Error::folder("/proc/self"))?.uid();
            let ours = about.is_dir() && [Some(us), user.map(|user| user.uid)].contains(&Some(about.uid()));
            if !ours {
                return Err(Error::folder(path)(std::io::Error::other("it belongs to somebody else")));
            }
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).map_err(Error::folder(path))?;
            user.map_or(Ok(()), |user| user.own(path))
        }
        Err(error) => Err(Error::folder(path)(error)),
    }
}
