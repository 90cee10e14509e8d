//! The unprivileged user that a cluster runs as when we are root.

use super::Error;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct User {
    pub(super) uid: u32,
    pub(super) gid: u32,
}

impl User {
    /// Whom to become, or nobody when we are not root: then we run the cluster as ourselves.
    pub(super) fn needed() -> Result<Option<Self>, Error> {
        let ourselves = fs::metadata("/proc/self").map_err(Error::folder("/proc/self"))?.uid();
        if ourselves != 0 {
            return Ok(None);
        }
        let accounts = fs::read_to_string("/etc/passwd").map_err(Error::folder("/etc/passwd"))?;
        Self::find(&accounts).map(Some).ok_or(Error::NoUser)
    }

    fn find(accounts: &str) -> Option<Self> {
        let mut fields = accounts.lines().find(|line| line.starts_with("nobody:"))?.split(':').skip(2);
        Some(Self { uid: fields.next()?.parse().ok()?, gid: fields.next()?.parse().ok()? })
    }

    /// Whether this user may walk down to `path` and read it. `path` exists.
    pub(super) fn reaches(self, path: &Path) -> bool {
        path.ancestors().all(|folder| {
            fs::metadata(folder).is_ok_and(|about| {
                let mode = about.permissions().mode();
                mode & 0o005 == 0o005
                    || (about.uid() == self.uid && mode & 0o500 == 0o500)
                    || (folder != path && mode & 0o001 == 0o001)
            })
        })
    }

    pub(super) fn own(self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid)).map_err(Error::folder(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_found_among_accounts() {
        let accounts = "root:x:0:0:root:/root:/bin/bash\nnobody:x:65534:65533:nobody:/nonexistent:/usr/sbin/nologin\n";
        assert_eq!(User::find(accounts), Some(User { uid: 65534, gid: 65533 }));
        assert_eq!(User::find("root:x:0:0:root:/root:/bin/bash\n"), None);
    }

    #[test]
    fn a_closed_folder_is_not_reached() {
        let nobody = User { uid: 65534, gid: 65534 };
        let open = tempfile::tempdir_in("/tmp").expect("a folder");
        fs::set_permissions(open.path(), fs::Permissions::from_mode(0o755)).expect("our own folder");
        assert!(nobody.reaches(open.path()));
        let inner = open.path().join("inner");
        fs::create_dir(&inner).expect("a folder");
        fs::set_permissions(open.path(), fs::Permissions::from_mode(0o700)).expect("our own folder");
        assert!(!nobody.reaches(&inner));
    }
}
