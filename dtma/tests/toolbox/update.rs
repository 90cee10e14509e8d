//! Updates of the real program: what is refused, what is committed, and what goes back by itself. The versions differ in
//! their folders only; servers run on through all of it.

use crate::support::{Plane, Toolbox, docker, scripted, sh};
use axum::http::StatusCode;
use capability::SigningKey;
use serde_json::json;
use sha2::{Digest, Sha256};
use std::{
    env::consts::ARCH,
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Output,
    time::Duration,
};

/// Version 0.1.0 in a folder of versions, and the key that signs its successors.
struct Installed {
    root: tempfile::TempDir,
    key: SigningKey,
}

impl Installed {
    fn new() -> Self {
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let installed = Self { root: tempfile::tempdir().unwrap(), key };
        let folder = installed.path("0.1.0");
        fs::create_dir(&folder).unwrap();
        fs::copy(env!("CARGO_BIN_EXE_dtma"), folder.join("dtma")).unwrap();
        symlink("0.1.0", installed.path("current")).unwrap();
        fs::write(installed.path("release.pub"), installed.key.public_key().to_string()).unwrap();
        installed
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn program(&self) -> PathBuf {
        self.path("current/dtma")
    }

    fn current(&self) -> String {
        fs::read_link(self.path("current")).unwrap().to_str().unwrap().to_owned()
    }

    /// A release of the real program.
    fn release(&self, version: &str) -> PathBuf {
        self.release_of(version, &fs::read(env!("CARGO_BIN_EXE_dtma")).unwrap())
    }

    /// A release in a folder, signed.
    fn release_of(&self, version: &str, program: &[u8]) -> PathBuf {
        let folder = tempfile::tempdir_in(self.root.path()).unwrap().keep();
        let name = format!("dtma-{version}-{ARCH}");
        fs::write(folder.join(&name), program).unwrap();
        let sum = Sha256::digest(program);
        let sum: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        let sums = format!("{sum}  {name}\n");
        fs::write(folder.join("SHA256SUMS.sig"), self.key.sign(sums.as_bytes())).unwrap();
        fs::write(folder.join("SHA256SUMS"), sums).unwrap();
        folder
    }
}

fn update(toolbox: &Toolbox, from: &Path, extra: &[&str]) -> Output {
    toolbox.command(&[&["update", "--from", from.to_str().unwrap()], extra].concat())
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn flip(path: PathBuf) {
    let mut bytes = fs::read(&path).unwrap();
    bytes[10] ^= 1;
    fs::write(path, bytes).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_a_signed_newer_and_whole_release_is_switched_to() {
    let plane = Plane::start().await;
    let installed = Installed::new();
    let toolbox = Toolbox::enrolled(&plane).installed(&installed.program());
    let program = format!("dtma-0.2.0-{ARCH}");
    // It does what a program must do to be switched to: it starts.
    let small = b"#!/bin/sh\nexit 0\n";
    let release = |version: &str| installed.release_of(version, small);
    let spoiled = |spoil: &dyn Fn(&Path)| {
        let folder = release("0.2.0");
        spoil(&folder);
        folder
    };
    for (from, words) in [
        (spoiled(&|f| flip(f.join("SHA256SUMS.sig"))), "not signed"),
        (spoiled(&|f| flip(f.join("SHA256SUMS"))), "not signed"),
        (spoiled(&|f| flip(f.join(&program))), "checksum differs"),
        (spoiled(&|f| fs::remove_file(f.join(&program)).unwrap()), "cannot be read"),
        (Installed::new().release_of("0.2.0", small), "not signed"),
        (release("0.0.9"), "downgrade"),
        (installed.release_of("0.2.0", b"#!/bin/sh\nexit 1\n"), "does not run on this machine"),
    ] {
        let output = update(&toolbox, &from, &[]);
        assert!(!output.status.success() && said(&output).contains(words), "{words}: {}", said(&output));
        assert_eq!(installed.current(), "0.1.0");
        assert!(!installed.path("0.2.0").exists());
    }
    let same = update(&toolbox, &release("0.1.0"), &[]);
    assert!(same.status.success() && said(&same).contains("installed already"), "{}", said(&same));
    // The positive control.
    let good = update(&toolbox, &release("0.2.0"), &[]);
    assert!(good.status.success(), "{}", said(&good));
    assert_eq!(installed.current(), "0.2.0");
    // The small one cannot be asked, so the version before is.
    let offered = release("0.3.0");
    let from = ["update", "--from", offered.to_str().unwrap()];
    let next = toolbox.by(&installed.path("previous/dtma"), &from);
    assert!(!next.status.success() && said(&next).contains("on trial"), "{}", said(&next));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_works_is_committed_and_one_that_does_not_goes_back_by_itself() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let installed = Installed::new();
    let mut toolbox = Toolbox::enrolled(&plane).installed(&installed.program());
    let pid = toolbox.run_with(&["--trial-seconds", "20"]);
    let server = scripted("one", "good");
    plane.until_checked_in(0).await;
    plane.want(std::slice::from_ref(&server)).await;
    plane.until_running(&server).await;
    let started = || {
        let ids = toolbox.containers();
        let id = ids.first().unwrap();
        format!("{id} {}", sh("docker", &["inspect", "-f", "{{.State.StartedAt}}", id]))
    };
    let before = started();

    let good = update(&toolbox, &installed.release("0.2.0"), &[]);
    assert!(good.status.success() && said(&good).contains("0.2.0 has proved itself"), "{}", said(&good));
    until_runs(pid, "0.2.0/dtma").await;
    assert_eq!(started(), before);

    // The next one never reaches the control plane.
    plane.inner().broken = Some(StatusCode::SERVICE_UNAVAILABLE);
    let release = installed.release("0.3.0");
    let bad = update(&toolbox, &release, &[]);
    assert!(!bad.status.success() && said(&bad).contains("no check-in succeeded"), "{}", said(&bad));
    assert_eq!(installed.current(), "0.2.0");
    until_runs(pid, "0.2.0/dtma").await;
    assert_eq!(started(), before);

    // It serves on, with the same process in the same container.
    let checkins = plane.inner().checkins.len();
    plane.inner().broken = None;
    plane.until_checked_in(checkins).await;
    plane.until_running(&server).await;
    let client = plane.client(std::slice::from_ref(&server));
    assert_eq!(client.call("one__count", &json!({})).await.unwrap().text(), "1");
    let again = update(&toolbox, &release, &[]);
    assert!(!again.status.success() && said(&again).contains("--again"), "{}", said(&again));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_version_that_dies_at_its_start_is_taken_back() {
    let plane = Plane::start().await;
    let installed = Installed::new();
    let mut toolbox = Toolbox::enrolled(&plane).installed(&installed.program());
    plane.inner().broken = Some(StatusCode::SERVICE_UNAVAILABLE);
    let good = update(&toolbox, &installed.release("0.2.0"), &[]);
    assert!(good.status.success(), "{}", said(&good));
    // Killed before it could prove itself, three times; the fourth start is the one of the version before.
    for start in 1..=3 {
        toolbox.run();
        until_log(&toolbox, &format!("on trial version=0.2.0 start={start}")).await;
        toolbox.kill();
        assert_eq!(installed.current(), "0.2.0");
    }
    let before = toolbox.log().len();
    let pid = toolbox.run();
    until_runs(pid, "0.1.0/dtma").await;
    assert_eq!(installed.current(), "0.1.0");
    // Whoever says that he runs can be told to end; the version that dies never says it.
    let since = || toolbox.log()[before..].to_owned();
    for _ in 0..300 {
        if since().contains("dtma runs") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(since().contains("rolled back") && since().contains("dtma runs"), "{}", since());
    toolbox.end();

    // The service manager asks the version before.
    let good = update(&toolbox, &installed.release("0.3.0"), &[]);
    assert!(good.status.success(), "{}", said(&good));
    let before = toolbox.by(&installed.path("previous/dtma"), &["settle", "--result", "success"]);
    assert!(before.status.success() && installed.current() == "0.3.0", "{}", said(&before));
    let settled = toolbox.by(&installed.path("previous/dtma"), &["settle", "--result", "exit-code"]);
    assert!(said(&settled).contains("0.3.0 was rolled back"), "{}", said(&settled));
    assert_eq!(installed.current(), "0.1.0");
}

/// The process keeps its number when it becomes another version.
async fn until_runs(pid: u32, program: &str) {
    let runs = || fs::read_link(format!("/proc/{pid}/exe")).unwrap();
    for _ in 0..300 {
        if runs().ends_with(program) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{} runs instead of {program}", runs().display());
}

async fn until_log(toolbox: &Toolbox, words: &str) {
    for _ in 0..300 {
        if toolbox.log().contains(words) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("not in the log: {words}");
}
