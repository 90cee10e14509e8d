//! One installation of Agentopia in a throw-away home, driven by its own commands as a person drives it.

use serde_json::Value;
use std::{
    hash::{BuildHasher, Hasher, RandomState},
    io::{Read, Write},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::PathBuf,
    process::{Command, Output, Stdio},
    sync::mpsc,
    time::{Duration, Instant},
};
use tempfile::TempDir;

pub struct Agentopia {
    home: TempDir,
    port: u16,
}

impl Agentopia {
    /// A home that is empty. Nothing runs before `up`.
    pub fn new() -> Self {
        let home = tempfile::Builder::new().prefix("agentopia-walk-").tempdir().expect("a temporary folder");
        Self { home, port: free_port() }
    }

    pub fn home(&self) -> PathBuf {
        self.home.path().canonicalize().expect("the home exists")
    }

    /// `scripts/up --detach --json`: its last line.
    pub fn up(&self) -> Value {
        let mut command = Command::new(crate::root().join("scripts/up"));
        // As from a person's shell: what the test runner adds would make cargo build everything once more.
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let kept = ["CARGO_HOME", "CARGO_TARGET_DIR", "CARGO_INCREMENTAL"].contains(&text.as_ref());
            if !kept && (text.starts_with("CARGO") || text.starts_with("NEXTEST") || text.starts_with("LD_")) {
                command.env_remove(&name);
            }
        }
        command.env_remove("RUSTUP_TOOLCHAIN");
        command.args(["--detach", "--json", "--port", &self.port.to_string(), "--home"]).arg(self.home.path());
        last_json(&succeed("scripts/up", command.output().expect("scripts/up runs")))
    }

    pub fn down(&self) {
        let mut command = Command::new(crate::root().join("scripts/down"));
        succeed("scripts/down", command.arg("--home").arg(self.home.path()).output().expect("scripts/down runs"));
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(self.home.path().join("bin/agentopia"));
        command.args(arguments).arg("--home").arg(self.home.path());
        command
    }

    /// `agentopia up` in the foreground, and Ctrl-C after so long, which a terminal gives to the whole group. True when it had
    /// ended by itself before that.
    pub async fn interrupted_up(&self, after: Duration) -> bool {
        let mut command = self.command(&["up", "--port", &self.port.to_string()]);
        let quiet = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut child = quiet.process_group(0).spawn().expect("agentopia runs");
        tokio::time::sleep(after).await;
        let early = child.try_wait().expect("it is ours").is_some();
        let _ = Command::new("kill").args(["-INT", "--", &format!("-{}", child.id())]).status();
        child.wait().expect("it ends");
        early
    }

    /// What a command prints, whether it succeeds or not.
    pub fn output(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stdin(Stdio::null()).output().expect("agentopia runs")
    }

    /// What a command prints; it must succeed.
    pub fn run(&self, arguments: &[&str]) -> String {
        succeed(&arguments.join(" "), self.output(arguments))
    }

    /// What a command prints with `--json`, its last line.
    pub fn json(&self, arguments: &[&str]) -> Value {
        last_json(&self.run(&[arguments, &["--json"]].concat()))
    }

    /// A command at a terminal: each time it prints one of the prompts, the answer is typed. Everything that the
    /// terminal showed comes back.
    pub fn at_terminal(&self, arguments: &[&str], answer: impl Fn(&str) -> Option<String>) -> String {
        let quoted = arguments.iter().map(|a| format!("'{}'", a.replace('\'', r"'\''")));
        let home = self.home();
        let line =
            format!("'{0}/bin/agentopia' {1} --home '{0}'", home.display(), quoted.collect::<Vec<_>>().join(" "));
        let mut child = Command::new("script")
            .args(["--quiet", "--return", "--command", &line, "/dev/null"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("util-linux's script gives a terminal");
        let mut screen = child.stdout.take().expect("piped");
        let (send, receive) = mpsc::channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = screen.read(&mut buffer) {
                if n == 0 || send.send(buffer[..n].to_vec()).is_err() {
                    break;
                }
            }
        });

        let mut keyboard = child.stdin.take().expect("piped");
        let (mut shown, mut answered) = (Vec::new(), 0);
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            match receive.recv_timeout(Duration::from_millis(700)) {
                Ok(bytes) => shown.extend(bytes),
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    // The program is quiet: it may be waiting at the prompt that it printed last.
                    let text = String::from_utf8_lossy(&shown[answered..]).into_owned();
                    if let Some(typed) = answer(text.lines().last().unwrap_or_default()) {
                        answered = shown.len();
                        keyboard.write_all(format!("{typed}\n").as_bytes()).expect("the terminal takes keys");
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
            }
            assert!(Instant::now() < deadline, "{line} did not end:\n{}", String::from_utf8_lossy(&shown));
        }
        let status = child.wait().expect("it ends");
        let shown = String::from_utf8_lossy(&shown).into_owned();
        assert!(status.success(), "{line}: {status}\n{shown}");
        shown
    }

    /// Process ids of this home's programs by name, `agentopia` or `dtma`.
    pub fn processes(&self, program: &str) -> Vec<u32> {
        let program = self.home().join("bin").join(program);
        let all = std::fs::read_dir("/proc").expect("a Linux machine").flatten();
        all.filter_map(|entry| entry.file_name().to_string_lossy().parse().ok())
            .filter(|pid: &u32| {
                let command = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
                command.split(|b| *b == 0).next() == Some(program.as_os_str().as_encoded_bytes())
            })
            .collect()
    }
}

impl Default for Agentopia {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Agentopia {
    fn drop(&mut self) {
        let down = crate::root().join("scripts/down");
        let _ = Command::new(down).arg("--home").arg(self.home.path()).output();
    }
}

/// A port that nobody is given who asks for any: those are above 32,768. It stays free until `up` listens on it.
fn free_port() -> u16 {
    loop {
        // Seeded anew each time.
        let random = RandomState::new().build_hasher().finish();
        let port = 10_000 + u16::try_from(random % 20_000).expect("below 20,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

fn succeed(what: &str, output: Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {}\n{text}\n{errors}", output.status);
    text
}

fn last_json(text: &str) -> Value {
    let text = text.trim();
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).or_else(|_| serde_json::from_str(text)).unwrap_or_else(|e| panic!("{e}: {text}"))
}
