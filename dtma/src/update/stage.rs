//! A verified program into the folder of its version. Nothing points there yet.

use super::{Error, Layout, Version};
use std::{
    fs,
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
    time::Duration,
};

const ANSWER: Duration = Duration::from_secs(20);

/// Whole or not at all; a program that does not even start on this machine is refused.
pub(super) async fn stage(layout: &Layout, version: Version, program: &[u8]) -> Result<(), Error> {
    let (staging, folder) = (layout.staging(version), layout.folder(version));
    remove(&staging)?;
    write(&staging, program).map_err(|source| Error::io(&staging, source))?;
    if let Err(error) = try_out(&staging.join("dtma")).await {
        remove(&staging)?;
        return Err(error);
    }
    // From an update that broke off, or that was rolled back.
    remove(&folder)?;
    fs::rename(&staging, &folder).map_err(|source| Error::io(&folder, source))
}

fn write(staging: &Path, program: &[u8]) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o755).create(staging)?;
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o755).open(staging.join("dtma"))?;
    file.write_all(program)?;
    file.sync_all()?;
    fs::File::open(staging)?.sync_all()
}

fn remove(folder: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::io(folder, error)),
        _ => Ok(()),
    }
}

async fn try_out(program: &Path) -> Result<(), Error> {
    let run = tokio::process::Command::new(program).arg("--version").kill_on_drop(true).output();
    match tokio::time::timeout(ANSWER, run).await {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            Err(Error::DoesNotRun(format!("{}: {}", output.status, String::from_utf8_lossy(&output.stderr).trim())))
        }
        Ok(Err(error)) => Err(Error::DoesNotRun(error.to_string())),
        Err(_) => Err(Error::DoesNotRun(format!("no answer within {} seconds", ANSWER.as_secs()))),
    }
}
