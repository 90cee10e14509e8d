//! A server's standard streams as named pipes: the container has them from its init (`init/main.rs`), this daemon opens
//! the other ends. Docker carries none of it, so its restart ends nothing, and a call costs no detour.
//!
//! What a server writes while no daemon is there waits in the pipe; when that is full, the server waits too.

use super::{Attached, Error};
use rustix::{
    fs::{CWD, FileType, Mode, mknodat},
    pipe::fcntl_setpipe_size,
};
use std::{
    fs,
    io::{self, ErrorKind},
    os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt},
    path::{Path, PathBuf},
};
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe::{OpenOptions, Receiver, Sender},
};

const INIT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/init"));
/// Room in a pipe, bytes: the largest that the kernel gives without being told to. Only what is used is taken.
const ROOM: usize = 1 << 20;
const NAMES: [&str; 3] = ["in", "out", "err"];
const STDERR_CHUNK: usize = 4096;

/// Cheap to clone.
#[derive(Clone)]
pub(super) struct Pipes {
    folder: PathBuf,
}

impl Pipes {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// New pipes and the init for the container of this name; the folder to be mounted at [`super::agreed::FOLDER`].
    pub(super) fn make(&self, name: &str) -> Result<PathBuf, Error> {
        let folder = self.folder.join(name);
        self.fill(&folder).map_err(|source| Error::Pipes { path: folder.clone(), source })?;
        Ok(folder)
    }

    fn fill(&self, folder: &Path) -> io::Result<()> {
        gone_is_fine(fs::remove_dir_all(folder))?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        fs::DirBuilder::new().mode(0o755).create(folder)?;
        // Whatever the umask is: the server's user must pass.
        fs::set_permissions(folder, fs::Permissions::from_mode(0o755))?;
        for name in NAMES {
            let path = folder.join(name);
            mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
            fs::set_permissions(&path, fs::Permissions::from_mode(0o666))?;
        }
        fs::hard_link(self.init()?, folder.join("init"))
    }

    /// The init as a file, written when it is not there or another.
    fn init(&self) -> io::Result<PathBuf> {
        let path = self.folder.join(".init");
        if fs::read(&path).is_ok_and(|held| held == INIT) {
            return Ok(path);
        }
        let beside = self.folder.join(".init.new");
        fs::write(&beside, INIT)?;
        fs::set_permissions(&beside, fs::Permissions::from_mode(0o755))?;
        fs::rename(&beside, &path)?;
        Ok(path)
    }

    pub(super) fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.folder.join(name);
        gone_is_fine(fs::remove_dir_all(&path)).map_err(|source| Error::Pipes { path, source })
    }

    /// Opens our ends. `stderr` is called with what the server writes there.
    pub(super) fn open(
        &self,
        name: &str,
        process: Option<u32>,
        mut stderr: impl FnMut(&[u8]) + Send + 'static,
    ) -> Result<Attached, Error> {
        let folder = self.folder.join(name);
        let [input, output, errors] = held(process).unwrap_or_else(|| NAMES.map(|name| folder.join(name)));
        let open = || -> io::Result<(Sender, Receiver, Receiver)> {
            // Also for reading, or it could not be opened before the server opens its end.
            let input = OpenOptions::new().read_write(true).unchecked(true).open_sender(input)?;
            let end = |path| OpenOptions::new().unchecked(true).open_receiver(path);
            Ok((input, end(output)?, end(errors)?))
        };
        let (input, output, mut errors) = open().map_err(|source| Error::Pipes { path: folder, source })?;
        for widened in [fcntl_setpipe_size(&input, ROOM), fcntl_setpipe_size(&output, ROOM)] {
            if let Err(error) = widened {
                tracing::debug!(%error, "a pipe keeps its size");
            }
        }
        tokio::spawn(async move {
            let mut chunk = vec![0; STDERR_CHUNK];
            // Ends with the server.
            while let Ok(read @ 1..) = errors.read(&mut chunk).await {
                stderr(&chunk[..read]);
            }
        });
        Ok(Attached { output: Box::new(output), input: Box::pin(input) })
    }
}

/// The pipes as a running server's own process has them: still the right ones when the folder was deleted or restored
/// from a copy. The container's first process is Docker's; its child is the server. None where this daemon may not look.
fn held(process: Option<u32>) -> Option<[PathBuf; 3]> {
    let first = process?;
    let children = fs::read_to_string(format!("/proc/{first}/task/{first}/children")).ok()?;
    let server = children.split_whitespace().next()?;
    let ends = [0, 1, 2].map(|fd| PathBuf::from(format!("/proc/{server}/fd/{fd}")));
    // A server may have put something else in their place.
    let pipe = |end: &PathBuf| fs::metadata(end).is_ok_and(|seen| seen.file_type().is_fifo());
    ends.iter().all(pipe).then_some(ends)
}

fn gone_is_fine(done: io::Result<()>) -> io::Result<()> {
    match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
