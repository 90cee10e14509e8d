use super::{Plane, plane::TOKEN};
use dtma::kept::Kept;
use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    time::Duration,
};

/// An enrolled toolbox in a folder of its own.
pub(crate) struct Toolbox {
    pub(crate) state: tempfile::TempDir,
    plane: Plane,
    daemon: Option<Child>,
    variables: Vec<(String, String)>,
    program: PathBuf,
    /// A program that starts it, and its arguments.
    under: Vec<&'static str>,
}

impl Toolbox {
    pub(crate) fn enrolled(plane: &Plane) -> Self {
        Self::enrolled_in(plane, tempfile::tempdir().unwrap())
    }

    pub(crate) fn enrolled_in(plane: &Plane, state: tempfile::TempDir) -> Self {
        let program = env!("CARGO_BIN_EXE_dtma").into();
        let toolbox = Self { state, plane: plane.clone(), daemon: None, variables: vec![], program, under: vec![] };
        let token = toolbox.state.path().join("token");
        fs::write(&token, TOKEN).unwrap();
        let url = plane.url.clone();
        let output = toolbox.command(&[
            "enrol",
            "--url",
            &url,
            "--token-file",
            token.to_str().unwrap(),
            "--listen",
            "127.0.0.1:0",
        ]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        toolbox
    }

    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.variables.push((key.into(), value.into()));
        self
    }

    /// From now on this program, and not the one that was built.
    pub(crate) fn installed(mut self, program: &Path) -> Self {
        self.program = program.to_owned();
        self
    }

    pub(crate) fn under(mut self, program: &[&'static str]) -> Self {
        self.under = program.to_vec();
        self
    }

    fn program(&self) -> Command {
        self.command_of(&self.program)
    }

    fn command_of(&self, program: &Path) -> Command {
        let mut words = self.under.iter().map(Path::new).chain([program]);
        let mut command = Command::new(words.next().unwrap());
        command.args(words);
        command.envs(self.variables.iter().map(|(key, value)| (key, value)));
        command
    }

    pub(crate) fn folder(&self) -> &Path {
        self.state.path()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.folder().join("test.log")).unwrap_or_default()
    }

    pub(crate) fn command(&self, args: &[&str]) -> Output {
        self.by(&self.program, args)
    }

    pub(crate) fn by(&self, program: &Path, args: &[&str]) -> Output {
        self.command_of(program).args(args).arg("--state").arg(self.folder()).output().unwrap()
    }

    pub(crate) fn run(&mut self) -> u32 {
        self.run_with(&[])
    }

    /// At the address that it had, for a control plane that does not hear of another.
    pub(crate) fn run_at(&mut self, gateway: &str) -> u32 {
        let address = gateway.trim_start_matches("http://").trim_end_matches("/mcp");
        self.run_with(&["--listen", address])
    }

    pub(crate) fn run_with(&mut self, options: &[&str]) -> u32 {
        let log = fs::OpenOptions::new().create(true).append(true).open(self.folder().join("test.log")).unwrap();
        let child = self
            .program()
            .args(["run", "--state"])
            .arg(self.folder())
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        let pid = child.id();
        self.daemon = Some(child);
        pid
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut child = self.daemon.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM, and its end.
    pub(crate) fn end(&mut self) {
        let mut child = self.daemon.take().unwrap();
        super::sh("kill", &["-TERM", &child.id().to_string()]);
        let status = child.wait().unwrap();
        assert!(status.success(), "{status}");
    }

    pub(crate) fn containers(&self) -> Vec<String> {
        let label = format!("label=agentopia.toolbox={}", self.plane.toolbox);
        let found = super::sh("docker", &["ps", "-aq", "--no-trunc", "--filter", &label]);
        found.lines().map(str::to_owned).collect()
    }

    pub(crate) async fn until_gone(&self, count: usize) {
        for _ in 0..300 {
            if self.containers().len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("there should be {count} containers, there are {}", self.containers().len());
    }

    fn remove(&self, label: &str, list: &[&str], remove: &[&str]) {
        let label = format!("label={label}={}", self.plane.toolbox);
        let found = Command::new("docker").args(list).args(["-q", "--filter", &label]).output().unwrap();
        for id in String::from_utf8_lossy(&found.stdout).split_whitespace() {
            Command::new("docker").args(remove).arg(id).output().unwrap();
        }
    }
}

impl Drop for Toolbox {
    fn drop(&mut self) {
        if let Some(mut child) = self.daemon.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("--- dtma's log\n{}", self.log());
        }
        let kept = Kept::here();
        kept.retain(self.plane.toolbox, |_| false);
        kept.leave();
        // Twice: what the daemon asked for just before it was killed may come only now.
        for _ in 0..2 {
            for label in ["agentopia.toolbox", "agentopia.install"] {
                self.remove(label, &["container", "ls", "-a"], &["container", "rm", "-f"]);
            }
            self.remove("agentopia.toolbox", &["network", "ls"], &["network", "rm"]);
            self.remove("agentopia.toolbox", &["volume", "ls"], &["volume", "rm"]);
        }
    }
}
