//! A stand-in for language models in both wire formats: the npm package `@copilotkit/aimock`, installed once under
//! `target/testkit/npm`.

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Aimock {
    child: Child,
    pub(crate) url: String,
    _fixtures: tempfile::TempDir,
}

impl Drop for Aimock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Aimock {
    /// Starts one with these fixtures; `None`, and a loud line, where npm or Node is missing.
    pub(crate) async fn start(fixtures: serde_json::Value, options: &[&str]) -> Option<Self> {
        let program = match program() {
            Ok(program) => program,
            Err(why) => {
                eprintln!("SKIPPED: {why}");
                return None;
            }
        };
        let folder = tempfile::tempdir().expect("a temporary folder");
        let file = folder.path().join("fixtures.json");
        std::fs::write(&file, serde_json::json!({ "fixtures": fixtures }).to_string()).expect("fixtures are written");
        // The port is free now; another process may take it before the stand-in does, so a few are tried.
        for _ in 0..5 {
            let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port").port();
            let mut child = Command::new("node")
                .arg(&program)
                .args(["-p", &port.to_string(), "-f"])
                .arg(&file)
                .args(["--strict", "--log-level", "warn", "--chunk-size", "5"])
                .args(options)
                .stdout(Stdio::null())
                .spawn()
                .expect("node starts");
            if answers(port, &mut child).await {
                return Some(Self { child, url: format!("http://127.0.0.1:{port}"), _fixtures: folder });
            }
            let _ = child.kill();
            let _ = child.wait();
        }
        panic!("aimock did not start");
    }
}

async fn answers(port: u16, child: &mut Child) -> bool {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(15) {
        if child.try_wait().ok().flatten().is_some() {
            return false;
        }
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return true;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    false
}

fn program() -> Result<PathBuf, String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().find(|folder| folder.join("Cargo.lock").exists());
    let root = root.ok_or("the workspace's folder was not found")?;
    let npm = root.join("target/testkit/npm");
    let program = npm.join("node_modules/@copilotkit/aimock/dist/cli.js");
    std::fs::create_dir_all(&npm).map_err(|error| error.to_string())?;
    // One test at a time installs; the others wait for it.
    let lock = std::fs::File::create(npm.join("aimock.lock")).map_err(|error| error.to_string())?;
    lock.lock().map_err(|error| error.to_string())?;
    if !program.exists() {
        let output = Command::new("npm")
            .args(["install", "--no-audit", "--no-fund", "--no-save", "@copilotkit/aimock@1.43.0", "--prefix"])
            .arg(&npm)
            .output()
            .map_err(|error| format!("npm is missing ({error})"))?;
        if !output.status.success() {
            return Err(format!("npm could not install aimock: {}", String::from_utf8_lossy(&output.stderr)));
        }
    }
    Ok(program)
}
