//! The real Supabase CLI, from npm.

use crate::cluster;
use std::{
    fs::{self, File},
    path::Path,
    process::Command,
};

const PACKAGE: &str = "supabase@3.1.0";

/// Runs `supabase <arguments>` in a copy of this checkout's project, so that what the CLI notes down stays out of it.
/// Returns what it printed; panics when it fails.
pub fn run(arguments: &[&str]) -> String {
    let tools = cluster::home().join("supabase-cli");
    fs::create_dir_all(&tools).expect("target/testkit can be written to");
    let program = tools.join("node_modules/.bin/supabase");
    let lock = File::create(tools.join("lock")).expect("target/testkit can be written to");
    lock.lock().expect("a file can be locked");
    if !program.exists() {
        eprintln!("testkit: installing {PACKAGE}");
        let install = ["install", "--silent", "--no-audit", "--no-fund", "--prefix"];
        finish(Command::new("npm").args(install).arg(&tools).arg(PACKAGE));
    }
    drop(lock);
    let work = tempfile::tempdir().expect("a temporary folder");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../../supabase"), &work.path().join("supabase"));
    let program = program.canonicalize().expect("it is installed");
    finish(
        Command::new(program)
            .args(arguments)
            .current_dir(work.path())
            .env("HOME", work.path())
            .env("DO_NOT_TRACK", "1"),
    )
}

fn finish(command: &mut Command) -> String {
    let done = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let said = [done.stdout, done.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(done.status.success(), "{command:?}:\n{said}");
    said
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("a folder can be made");
    for entry in fs::read_dir(from).expect("the project can be read") {
        let entry = entry.expect("the project can be read");
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).expect("a file can be copied");
        }
    }
}
