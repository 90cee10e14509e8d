//! Machines to install on: containers of Debian and Ubuntu, made from their packages.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
};

/// A base system that can be built here.
pub struct Base {
    pub name: &'static str,
    suite: &'static str,
    source: Option<&'static str>,
    packages: &'static str,
}

pub const DEBIAN: Base = Base { name: "debian", suite: "bookworm", source: None, packages: "ca-certificates,openssl" };
/// Ubuntu's keyring is in no package of Debian's: what is installed there is thrown away after the test.
pub const UBUNTU: Base = Base {
    name: "ubuntu",
    suite: "noble",
    source: Some("deb [trusted=yes] http://archive.ubuntu.com/ubuntu noble main universe"),
    packages: "apt,ca-certificates,openssl",
};
pub const SYSTEMD: Base = Base {
    name: "debian-systemd",
    suite: "bookworm",
    source: None,
    packages: "ca-certificates,openssl,systemd,systemd-sysv,dbus,iptables",
};

/// As a provider's image: with cloud-init.
pub const DROPLET: Base = Base {
    name: "droplet",
    suite: "bookworm",
    source: None,
    packages: "ca-certificates,openssl,systemd,systemd-sysv,dbus,iptables,nftables,curl,cloud-init",
};

/// A container, and the image that it was made from, for as long as this lives.
pub struct Machine {
    name: String,
}

impl Machine {
    /// `None`, loudly, where such a machine cannot be had. On the host's network: its package mirrors and the stand-in
    /// control plane are reached as from the host.
    pub fn start(base: &Base, options: &[&str], command: &[&str]) -> Option<Self> {
        Self::start_on("host", base, options, command)
    }

    pub fn start_on(network: &str, base: &Base, options: &[&str], command: &[&str]) -> Option<Self> {
        let skip = |why: &str| eprintln!("SKIPPED: no machine of {}: {why}", base.name);
        let docker = Command::new("docker").arg("info").output();
        if !docker.is_ok_and(|output| output.status.success()) {
            skip("Docker does not answer");
            return None;
        }
        let archive = match archive(base) {
            Ok(archive) => archive,
            Err(why) => {
                skip(&why);
                return None;
            }
        };
        let name = format!("agentopia-install-{}-{network}-{}", base.name, std::process::id());
        done(Command::new("docker").arg("import").arg(archive).arg(&name));
        let machine = Self { name };
        let name = machine.name.as_str();
        let run = ["run", "--detach", "--network", network, "--name", name];
        done(Command::new("docker").args(run).args(options).arg(name).args(command));
        Some(machine)
    }

    /// Its address on a network that is not the host's.
    pub fn address(&self) -> String {
        let format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        done(Command::new("docker").args(["inspect", "--format", format, &self.name])).trim().to_owned()
    }

    pub fn output(&self, command: &[&str]) -> Output {
        Command::new("docker")
            .args(["exec", &self.name])
            .args(command)
            .stdin(Stdio::null())
            .output()
            .expect("docker runs")
    }

    /// What it prints; it must succeed.
    pub fn run(&self, script: &str) -> String {
        done(Command::new("docker").args(["exec", &self.name, "bash", "-c", script]).stdin(Stdio::null()))
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        for remove in [["rm", "--force"], ["rmi", "--force"]] {
            let _ = Command::new("docker").args(remove).arg(&self.name).output();
        }
    }
}

/// Built once, and kept beside what else was built.
fn archive(base: &Base) -> Result<PathBuf, String> {
    let folder = target().join("tools/machines");
    let recipe = base.packages.replace(',', "-");
    let archive = folder.join(format!("{}-{recipe}.tar", base.suite));
    if archive.exists() {
        return Ok(archive);
    }
    fs::create_dir_all(&folder).map_err(|error| error.to_string())?;
    let beside = archive.with_extension("new.tar");
    let include = format!("--include={}", base.packages);
    let mut make = Command::new("mmdebstrap");
    make.args(["--quiet", "--variant=minbase", &include, base.suite]).arg(&beside).args(base.source);
    let made = make.output().map_err(|error| format!("mmdebstrap: {error}"))?;
    if !made.status.success() {
        let said = String::from_utf8_lossy(&made.stderr);
        return Err(format!("mmdebstrap: {}", said.trim().lines().last().unwrap_or_default()));
    }
    fs::rename(&beside, &archive).map_err(|error| error.to_string())?;
    Ok(archive)
}

/// The folder that cargo builds into.
pub fn target() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    test.ancestors().nth(3).expect("target/debug/deps/test").to_owned()
}

/// `dtma` as it was built for the tests.
pub fn dtma() -> Option<PathBuf> {
    let test = std::env::current_exe().expect("a test has a path");
    let program = test.ancestors().nth(2).map(|folder| folder.join("dtma")).filter(|path| path.exists());
    if program.is_none() {
        eprintln!("SKIPPED: dtma is not built; run: cargo build -p dtma");
    }
    program
}

/// A release of this program, signed with the key in the file, which is made when it is not there. The public key.
pub fn release(program: &Path, version: &str, key: &Path, out: &Path) -> String {
    let mut command = Command::new(crate::root().join("scripts/release"));
    command.args(["--version", version, "--program"]).arg(program).arg("--key").arg(key).arg("--out").arg(out);
    done(&mut command).trim().to_owned()
}

/// What a command prints; it must succeed.
pub fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{text}\n{}", String::from_utf8_lossy(&output.stderr));
    text
}
