//! A Docker engine of a test's own, so that it may be killed: other tests and people use the machine's.

use std::{
    fs,
    process::{Child, Command, Output, Stdio},
    time::{Duration, Instant},
};

pub(crate) struct Engine {
    folder: tempfile::TempDir,
    options: Vec<&'static str>,
    bridge: String,
    process: Option<Child>,
}

impl Engine {
    /// With the runner image for Node. None, loudly, where this machine cannot have a second engine.
    pub(crate) fn start(options: &[&'static str]) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("agentopia-engine-").tempdir().unwrap();
        let bridge = format!("agc{}", std::process::id());
        let addressed = ip(&["link", "add", &bridge, "type", "bridge"])
            && ip(&["address", "add", "172.30.213.1/24", "dev", &bridge])
            && ip(&["link", "set", &bridge, "up"])
            && ways_out(&bridge, "-I");
        let mut engine = Self { folder, options: options.to_vec(), bridge, process: None };
        if !addressed {
            eprintln!("SKIPPED: no bridge can be made here for a Docker engine of the test's own");
            return None;
        }
        engine.run();
        if !engine.answers() {
            eprintln!("SKIPPED: a Docker engine of the test's own does not start here: {}", engine.log());
            return None;
        }
        let mut saved =
            Command::new("docker").args(["save", "agentopia/mcp-node"]).stdout(Stdio::piped()).spawn().unwrap();
        let loaded = engine.client().arg("load").stdin(saved.stdout.take().unwrap()).output().unwrap();
        assert!(loaded.status.success() && saved.wait().unwrap().success(), "{loaded:?}");
        Some(engine)
    }

    pub(crate) fn host(&self) -> String {
        format!("unix://{}/docker.sock", self.folder.path().display())
    }

    fn client(&self) -> Command {
        let mut client = Command::new("docker");
        client.env("DOCKER_HOST", self.host());
        client
    }

    pub(crate) fn docker(&self, args: &[&str]) -> Output {
        self.client().args(args).output().unwrap()
    }

    /// Of each container: id, process, and when it started.
    pub(crate) fn containers(&self) -> Vec<String> {
        let ids = self.docker(&["ps", "-q", "--no-trunc"]);
        let ids = String::from_utf8(ids.stdout).unwrap();
        let seen = |id: &str| self.docker(&["inspect", "-f", "{{.Id}} {{.State.Pid}} {{.State.StartedAt}}", id]).stdout;
        ids.lines().map(|id| String::from_utf8(seen(id)).unwrap()).collect()
    }

    pub(crate) fn run(&mut self) {
        let folder = self.folder.path();
        let log = fs::OpenOptions::new().create(true).append(true).open(folder.join("log")).unwrap();
        let mut engine = Command::new("dockerd");
        for (option, name) in [("--data-root", "data"), ("--exec-root", "exec"), ("--pidfile", "pid")] {
            engine.arg(option).arg(folder.join(name));
        }
        // A bridge of its own: without one, or with none, an engine takes the machine's `docker0` for its own.
        engine.args(["--host", &self.host(), "--bridge", &self.bridge, "--iptables=false", "--ip6tables=false"]);
        engine.args(&self.options).stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.process = engine.spawn().ok();
    }

    /// Starts it again where it gives up, as a machine's init does.
    pub(crate) fn answers(&mut self) -> bool {
        let until = Instant::now() + Duration::from_secs(60);
        while !self.docker(&["version"]).status.success() {
            if Instant::now() > until {
                return false;
            }
            if self.process.as_mut().is_none_or(|process| process.try_wait().is_ok_and(|ended| ended.is_some())) {
                self.run();
            }
            std::thread::park_timeout(Duration::from_millis(100));
        }
        true
    }

    /// As `kill -9`.
    pub(crate) fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
        // The next one refuses to start beside it.
        let _ = fs::remove_file(self.folder.path().join("pid"));
    }

    pub(crate) fn log(&self) -> String {
        let text = fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
        text.lines().rev().take(12).collect::<Vec<_>>().join("; ")
    }
}

/// Its installers reach the registries; the engine itself sets no rules, because they would be the machine's engine's.
fn ways_out(bridge: &str, action: &str) -> bool {
    let rules: [&[&str]; 3] = [
        &["nat", "POSTROUTING", "-s", "172.30.213.0/24", "!", "-o", bridge, "-j", "MASQUERADE"],
        &["filter", "FORWARD", "-i", bridge, "-j", "ACCEPT"],
        &["filter", "FORWARD", "-o", bridge, "-j", "ACCEPT"],
    ];
    rules.iter().all(|rule| {
        let words = [&["-w", "5", "-t", rule[0], action], &rule[1..]].concat();
        Command::new("iptables").args(words).output().is_ok_and(|output| output.status.success())
    })
}

fn ip(words: &[&str]) -> bool {
    Command::new("ip").args(words).output().is_ok_and(|output| output.status.success())
}

impl Drop for Engine {
    fn drop(&mut self) {
        if self.process.is_none() {
            self.run();
            self.answers();
        }
        let ids = self.docker(&["ps", "-aq"]);
        for id in String::from_utf8_lossy(&ids.stdout).split_whitespace() {
            self.docker(&["rm", "-f", id]);
        }
        if let Some(mut process) = self.process.take() {
            let _ = Command::new("kill").arg(process.id().to_string()).output();
            let _ = process.wait();
        }
        ways_out(&self.bridge, "-D");
        ip(&["link", "delete", &self.bridge]);
        // A containerd that outlived an engine which was killed.
        let _ = Command::new("pkill").arg("-f").arg(self.folder.path()).output();
    }
}
