use super::{KeyWrap, Whose, WrapError, Wrapped};
use crate::{
    Key, bytes,
    envelope::{self, Binding},
};
use async_trait::async_trait;
use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    io::{self, Read, Write},
    os::unix::fs::PermissionsExt,
    path::Path,
};
use zeroize::Zeroizing;

/// Wrapping keys in a file of mode 0600: a line each, `<number> <32 bytes in base64url>`. The highest number is current.
pub struct KeyFile(BTreeMap<u32, Key>);

impl KeyFile {
    /// Reads the file; a file that others can read is refused, since they may have read it.
    pub fn open(path: &Path) -> Result<Self, WrapError> {
        let mut file = fs::File::open(path).map_err(|error| broken(path, error))?;
        let mode = file.metadata().map_err(|error| broken(path, error))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(WrapError::OpenToOthers(path.display().to_string()));
        }
        let mut text = Zeroizing::new(String::new());
        file.read_to_string(&mut text).map_err(|error| broken(path, error))?;
        let keys = text.lines().map(line).collect::<Option<BTreeMap<_, _>>>();
        match keys.filter(|keys| !keys.is_empty()) {
            Some(keys) => Ok(Self(keys)),
            None => Err(WrapError::Format(path.display().to_string())),
        }
    }

    /// The same, after making a file with one key where there is none. Two processes at once end up with one file.
    pub fn open_or_create(path: &Path) -> Result<Self, WrapError> {
        let key = envelope::random_key().map_err(|_| WrapError::Random)?;
        let first = BTreeMap::from([(1, key)]);
        match place(path, &first, false) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(broken(path, error)),
        }
        Self::open(path)
    }

    /// Adds a key, which is current from then on for whoever opens the file. The older ones stay, to read what they wrapped.
    pub fn rotate(path: &Path) -> Result<Self, WrapError> {
        let mut keys = Self::open(path)?;
        let key = envelope::random_key().map_err(|_| WrapError::Random)?;
        keys.0.insert(keys.current() + 1, key);
        place(path, &keys.0, true).map_err(|error| broken(path, error))?;
        Ok(keys)
    }

    fn binding<'a>(whose: Whose, version: u32, key_id: &'a str) -> Binding<'a> {
        Binding {
            tenant: whose.tenant,
            owner: whose.tenant,
            secret: whose.key_id,
            version: version as i32,
            kind: "tenant-key",
            key_id,
        }
    }
}

#[async_trait]
impl KeyWrap for KeyFile {
    fn current(&self) -> u32 {
        *self.0.keys().next_back().expect("a key file has a key")
    }

    async fn wrap(&self, key: &Key, whose: Whose) -> Result<Wrapped, WrapError> {
        let current = self.current();
        let id = key_id(current);
        let envelope = envelope::seal(&self.0[&current], &Self::binding(whose, current, &id), &**key)
            .map_err(|_| WrapError::Random)?;
        let blob = serde_json::to_vec(&envelope).expect("an envelope is JSON");
        Ok(Wrapped { key: current, blob })
    }

    async fn unwrap(&self, wrapped: &Wrapped, whose: Whose) -> Result<Key, WrapError> {
        let key = self.0.get(&wrapped.key).ok_or(WrapError::NoSuchKey(wrapped.key))?;
        let envelope = serde_json::from_slice(&wrapped.blob).map_err(|_| WrapError::Opening)?;
        let id = key_id(wrapped.key);
        envelope::open_key(key, &Self::binding(whose, wrapped.key, &id), &envelope).map_err(|_| WrapError::Opening)
    }
}

fn key_id(version: u32) -> String {
    format!("file:{version}")
}

fn line(text: &str) -> Option<(u32, Key)> {
    let (version, key) = text.split_once(' ')?;
    Some((version.parse().ok()?, Key::new(bytes::decode(key)?)))
}

/// Writes beside and moves into place, so that a crash leaves the old file or the new one.
fn place(path: &Path, keys: &BTreeMap<u32, Key>, replace: bool) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new().permissions(Permissions::from_mode(0o600)).tempfile_in(folder)?;
    for (version, key) in keys {
        let text = Zeroizing::new(format!("{version} {}\n", bytes::encode(**key)));
        file.write_all(text.as_bytes())?;
    }
    file.as_file().sync_all()?;
    if replace {
        file.persist(path)?;
    } else {
        file.persist_noclobber(path)?;
    }
    // The new name must survive a crash, too: a lost wrapping key loses every secret.
    fs::File::open(folder)?.sync_all()
}

fn broken(path: &Path, error: io::Error) -> WrapError {
    WrapError::File(path.display().to_string(), error)
}
