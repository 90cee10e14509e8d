//! Where versions lie: `<root>/<version>/dtma`, and two links: `current` is what starts, `previous` is what ran before it.
//! `<root>/release.pub` is the key that releases are signed with; whoever installed pinned it.

use super::{Error, Version};
use capability::PublicKey;
use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
};

#[derive(Clone, Debug)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    pub fn at(root: &Path) -> Self {
        Self { root: root.to_path_buf() }
    }

    /// The one that this program lies in, and which version of it this program is.
    pub fn of_this_program() -> Result<(Self, Version), Error> {
        let program = std::env::current_exe().map_err(|source| Error::io(Path::new("/proc/self/exe"), source))?;
        Self::around(&program).ok_or(Error::NotInstalled(program))
    }

    fn around(program: &Path) -> Option<(Self, Version)> {
        let folder = program.parent()?;
        let version = folder.file_name()?.to_str()?.parse().ok()?;
        let layout = Self::at(folder.parent()?);
        layout.current().is_ok().then_some((layout, version))
    }

    pub fn folder(&self, version: Version) -> PathBuf {
        self.root.join(version.to_string())
    }

    /// A folder that is not a version yet.
    pub(super) fn staging(&self, version: Version) -> PathBuf {
        self.root.join(format!(".{version}.staging"))
    }

    /// What the service manager starts.
    pub fn program(&self) -> PathBuf {
        self.root.join("current/dtma")
    }

    pub fn key(&self) -> Result<PublicKey, Error> {
        let path = self.root.join("release.pub");
        let text = fs::read_to_string(&path).map_err(|source| Error::io(&path, source))?;
        text.trim().parse().map_err(|_| Error::Key(path))
    }

    pub fn current(&self) -> Result<Version, Error> {
        self.read("current")
    }

    fn read(&self, name: &str) -> Result<Version, Error> {
        let path = self.root.join(name);
        let target = fs::read_link(&path).map_err(|source| Error::io(&path, source))?;
        target.to_str().and_then(|text| text.parse().ok()).ok_or(Error::Link(path))
    }

    pub(super) fn set_current(&self, version: Version) -> Result<(), Error> {
        self.point("current", version)
    }

    pub(super) fn set_previous(&self, version: Version) -> Result<(), Error> {
        self.point("previous", version)
    }

    /// Whoever looks sees the old one or the new one, also after a power cut.
    fn point(&self, name: &str, version: Version) -> Result<(), Error> {
        let (link, beside) = (self.root.join(name), self.root.join(format!(".{name}.new")));
        let change = || {
            match fs::remove_file(&beside) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            symlink(version.to_string(), &beside)?;
            fs::rename(&beside, &link)?;
            fs::File::open(&self.root)?.sync_all()
        };
        change().map_err(|source| Error::io(&link, source))
    }

    /// Every version that lies here.
    pub(super) fn versions(&self) -> Result<Vec<Version>, Error> {
        let entries = fs::read_dir(&self.root).map_err(|source| Error::io(&self.root, source))?;
        let names = entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
        Ok(names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect())
    }
}
