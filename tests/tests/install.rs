//! `install-dtma.sh`, and what becomes of its installation: on this machine below a folder, in containers of Debian and
//! Ubuntu, and under a real systemd.

use std::{
    collections::BTreeMap,
    fs,
    io::{Read, Write},
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{
    files,
    machine::{self, Base, Machine, done, release},
    plane::{Plane, TOKEN, who_shows},
};

/// A release of the program that was built, and a key that was made for it.
struct Made {
    folder: TempDir,
    program: PathBuf,
}

impl Made {
    fn new() -> Option<Self> {
        let program = machine::dtma()?;
        let made = Self { folder: tempfile::tempdir().expect("a temporary folder"), program };
        // Root in a container is not always root of this folder.
        fs::set_permissions(made.folder.path(), fs::Permissions::from_mode(0o755)).expect("it is ours");
        made.version("0.1.0");
        Some(made)
    }

    fn version(&self, version: &str) -> PathBuf {
        self.of(&self.program, version)
    }

    fn of(&self, program: &Path, version: &str) -> PathBuf {
        let out = self.folder.path().join(version);
        release(program, version, &self.folder.path().join("key.pem"), &out);
        out
    }

    fn installer(&self, version: &str) -> Command {
        Command::new(self.folder.path().join(version).join("install-dtma.sh"))
    }

    fn mount(&self) -> String {
        format!("{}:/release:ro", self.folder.path().display())
    }
}

/// Everything below a folder, with what would change if it were touched.
fn picture(folder: &Path) -> BTreeMap<PathBuf, (i64, i64, u64)> {
    let stamp = |path: PathBuf| {
        let about = fs::symlink_metadata(&path).expect("it is there");
        (path, (about.mtime(), about.mtime_nsec(), about.ino()))
    };
    files(folder, "").into_iter().map(stamp).collect()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn typed(command: &mut Command, text: &str) -> Output {
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it runs");
    // It may have no use for it, and be through before it came.
    let _ = child.stdin.take().expect("piped").write_all(text.as_bytes());
    child.wait_with_output().expect("it ends")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_run_changes_nothing_and_the_token_shows_nowhere() {
    let Some(made) = Made::new() else { return };
    let plane = Plane::start("019aa1b0-0000-7000-8000-0000000000a1").await;
    let root = tempfile::tempdir().expect("a temporary folder");
    let install = |extra: &[&str]| {
        let mut command = made.installer("0.1.0");
        command.args(["--url", &plane.url, "--root"]).arg(root.path()).args(extra);
        command
    };

    let dry = typed(&mut install(&["--dry-run"]), TOKEN);
    assert!(dry.status.success() && said(&dry).contains("would: enrol"), "{}", said(&dry));
    assert_eq!(fs::read_dir(root.path()).expect("readable").count(), 0, "a dry run wrote something");
    assert_eq!(plane.seen().enrolments, 0);

    // The look that the control plane takes does find what shows.
    let shown = "shown-to-everybody-4f1d";
    let mut child = Command::new("cat").env("SHOWN", shown).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let child = child.as_mut().expect("cat runs");
    // Its environment is there to be read only some time after `spawn` is back, but surely once it answers.
    child.stdin.as_mut().expect("piped").write_all(b"!").expect("it reads");
    child.stdout.as_mut().expect("piped").read_exact(&mut [0]).expect("it answers");
    assert!(who_shows(shown).contains(&format!("/proc/{}", child.id())));
    child.kill().and_then(|()| child.wait()).expect("it ends");

    let first = typed(&mut install(&[]), TOKEN);
    assert!(first.status.success(), "{}", said(&first));
    assert_eq!(plane.seen().enrolments, 1);
    assert_eq!(plane.seen().leaks, Vec::<String>::new());
    assert!(!said(&first).contains(TOKEN));
    let before = picture(root.path());
    assert!(before.len() >= 5, "{before:?}");

    let second = typed(&mut install(&[]), "");
    assert!(second.status.success(), "{}", said(&second));
    assert_eq!(picture(root.path()), before);
    assert_eq!(plane.seen().enrolments, 1);

    // A token file does too, and the state that stayed is used again.
    let uninstall = |extra: &[&str]| {
        let mut command = made.installer("0.1.0");
        done(command.args(["--uninstall", "--root"]).arg(root.path()).args(extra))
    };
    uninstall(&["--dry-run"]);
    assert_eq!(picture(root.path()), before);
    let state = root.path().join("var/lib/dtma");
    let identity = fs::read(state.join("identity.key")).expect("it has one");
    uninstall(&[]);
    assert!(!root.path().join("opt/dtma").exists());
    assert_eq!(fs::read(state.join("identity.key")).expect("it stayed"), identity);
    done(&mut install(&[]));
    assert_eq!(plane.seen().enrolments, 1);
    uninstall(&["--remove-data"]);
    assert!(!state.exists());
    let token = made.folder.path().join("token");
    fs::write(&token, TOKEN).expect("writable");
    done(install(&["--token-file"]).arg(&token));
    assert_eq!(plane.seen().enrolments, 2);
    uninstall(&["--remove-data"]);
    assert_eq!(files(root.path(), ""), Vec::<PathBuf>::new());
}

#[test]
fn a_release_that_is_not_as_it_was_signed_is_not_installed() {
    let Some(made) = Made::new() else { return };
    let good = made.folder.path().join("0.1.0");
    let program = fs::read_dir(&good).expect("readable").flatten().map(|entry| entry.file_name());
    let program = program.map(|name| name.to_string_lossy().into_owned()).find(|name| name.starts_with("dtma-0.1.0-"));
    let program = program.expect("a release has a program");
    let stranger = tempfile::tempdir().expect("a temporary folder");
    let public = release(&made.program, "0.1.0", &stranger.path().join("key.pem"), &stranger.path().join("out"));

    let spoiled = |name: &str, spoil: &dyn Fn(&Path)| {
        let folder = made.folder.path().join(name);
        done(Command::new("cp").arg("-r").arg(&good).arg(&folder));
        spoil(&folder);
        folder
    };
    let append = |file: PathBuf| {
        let mut file = fs::OpenOptions::new().append(true).open(file).expect("it is there");
        file.write_all(b"\n").expect("writable");
    };
    let flip = |file: PathBuf| {
        let mut bytes = fs::read(&file).expect("it is there");
        bytes[10] ^= 1;
        fs::write(file, bytes).expect("writable");
    };
    let cases: [(&str, PathBuf, &[&str], &str); 8] = [
        ("signature", spoiled("a", &|f| flip(f.join("SHA256SUMS.sig"))), &[], "not signed"),
        (
            "no signature",
            spoiled("b", &|f| fs::remove_file(f.join("SHA256SUMS.sig")).expect("it was there")),
            &[],
            "has no",
        ),
        ("list", spoiled("c", &|f| append(f.join("SHA256SUMS"))), &[], "not signed"),
        ("program", spoiled("d", &|f| append(f.join(&program))), &[], "not the one that was signed"),
        ("unit", spoiled("e", &|f| append(f.join("dtma.service"))), &[], "not the one that was signed"),
        ("another's key", good.clone(), &["--key", &public], "not signed"),
        ("version", good.clone(), &["--version", "0.2.0"], "not 0.2.0"),
        ("plain http", PathBuf::from("http://example.org/release"), &[], "use https"),
    ];
    for (what, from, extra, words) in cases {
        let root = tempfile::tempdir().expect("a temporary folder");
        let mut command = made.installer("0.1.0");
        let output =
            command.arg("--root").arg(root.path()).arg("--from").arg(from).args(extra).output().expect("it runs");
        assert!(!output.status.success() && said(&output).contains(words), "{what}: {}", said(&output));
        assert_eq!(files(root.path(), ""), Vec::<PathBuf>::new(), "{what}: something was written");
    }
    let mut source = Command::new(tests::root().join("scripts/install-dtma.sh"));
    let root = tempfile::tempdir().expect("a temporary folder");
    let output = source.arg("--root").arg(root.path()).arg("--from").arg(&good).output().expect("it runs");
    assert!(!output.status.success() && said(&output).contains("no key"), "{}", said(&output));

    // The same steps with nothing spoiled.
    let mut command = made.installer("0.1.0");
    done(command.arg("--root").arg(root.path()).arg("--from").arg(&good).args(["--version", "0.1.0"]));
    let installed = fs::read(root.path().join("opt/dtma/0.1.0/dtma")).expect("it is installed");
    assert!(installed == fs::read(&made.program).expect("readable"));

    // What is there is not replaced by something older.
    made.version("0.0.9");
    let mut older = made.installer("0.0.9");
    let output = older.arg("--root").arg(root.path()).output().expect("it runs");
    assert!(!output.status.success() && said(&output).contains("older than 0.1.0"), "{}", said(&output));
}

/// On a machine without Docker and without systemd: both are said or mended, and the daemon that is started by hand stays.
async fn by_hand(base: &Base, toolbox: &str) {
    let Some(made) = Made::new() else { return };
    let plane = Plane::start(toolbox).await;
    let Some(machine) = Machine::start(base, &["--volume", &made.mount()], &["sleep", "600"]) else { return };
    machine.run("echo 'Acquire::Retries \"5\";' >/etc/apt/apt.conf.d/80-retries");
    let mirror = machine.output(&["apt-get", "update", "-qq"]);
    if !mirror.status.success() {
        eprintln!("SKIPPED: {} reaches no package mirror: {}", base.name, said(&mirror).trim());
        return;
    }
    fs::write(made.folder.path().join("token"), TOKEN).expect("writable");
    let install = format!("bash /release/0.1.0/install-dtma.sh --url {} 2>&1 </release/token", plane.url);
    let told = machine.run(&format!("{install} --dry-run"));
    assert!(told.contains("would: install Debian packages: docker.io"), "{told}");
    assert!(machine.run("ls /opt; command -v dockerd || true").trim().is_empty());

    let told = machine.run(&install);
    assert!(told.contains("There is no systemd here"), "{told}");
    machine.run("command -v dockerd && test -x /usr/sbin/iptables");
    assert_eq!(plane.seen().enrolments, 1);
    let by_hand = told.lines().find(|line| line.trim_start().starts_with("setsid")).expect("it says how to start");
    // Its gateway's port is the host's here: another one than a toolbox of this machine has.
    machine.run(&by_hand.replace(" run ", " run --listen 127.0.0.1:0 "));
    // With the second one the answer to the first is written down.
    until("check-ins", || plane.seen().checkins > 1).await;

    let look = "pidof dtma; find /opt/dtma /usr/local/bin/dtma /var/lib/dtma ! -name 'state.*' ! -name '*.new' -type f -o -type l \
                | sort | xargs stat -c '%n %i %y'";
    let before = machine.run(look);
    machine.run(&install);
    assert_eq!(machine.run(look), before);
    machine.run("kill $(pidof dtma)");
    // Nobody reaps it here, so it is no process that ends but a lock that it gives up.
    let ended = ["flock", "--nonblock", "/var/lib/dtma/lock", "true"];
    until("dtma has ended", || machine.output(&ended).status.success()).await;
    let dead = machine.output(&["bash", "-c", "bash /release/0.1.0/install-dtma.sh --uninstall --remove-data"]);
    // Its servers' containers cannot be asked for without an engine; that is said and nothing is thrown away.
    assert!(!dead.status.success() && said(&dead).contains("Docker"), "{}", said(&dead));
    machine.run("test -e /var/lib/dtma/identity.key && test -x /opt/dtma/current/dtma");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn debian_without_anything_becomes_a_toolbox() {
    by_hand(&machine::DEBIAN, "019aa1b0-0000-7000-8000-0000000000a2").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ubuntu_without_anything_becomes_a_toolbox() {
    by_hand(&machine::UBUNTU, "019aa1b0-0000-7000-8000-0000000000a3").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_systemd_it_is_kept_alive_updated_and_taken_back() {
    let Some(made) = Made::new() else { return };
    let plane = Plane::start("019aa1b0-0000-7000-8000-0000000000a4").await;
    made.version("0.2.0");
    // It says its version, and dies when it is to run.
    let broken = made.folder.path().join("broken");
    fs::write(&broken, "#!/bin/sh\n[ \"$1\" = --version ]\n").expect("writable");
    made.of(&broken, "0.3.0");
    let token = made.folder.path().join("token");
    fs::write(&token, TOKEN).expect("writable");
    let mount = made.mount();
    // Rights to mount, which systemd needs, to set rules, which dtma does, and to look at that; and the host's engine, so that
    // Docker is there.
    let options = "--cap-add SYS_ADMIN --cap-add NET_ADMIN --cap-add SYS_PTRACE --security-opt seccomp=unconfined --security-opt apparmor=unconfined --tmpfs /run \
                   --tmpfs /tmp --volume /sys/fs/cgroup:/sys/fs/cgroup --volume /usr/bin/docker:/usr/bin/docker:ro \
                   --volume /var/run/docker.sock:/srv/docker.sock";
    let options: Vec<&str> = options.split_whitespace().chain(["--volume", &mount]).collect();
    let Some(machine) = Machine::start(&machine::SYSTEMD, &options, &["/sbin/init"]) else { return };
    let begun = Instant::now();
    while !said(&machine.output(&["systemctl", "is-system-running"])).contains("running") {
        if begun.elapsed() > Duration::from_secs(30) {
            eprintln!("SKIPPED: systemd does not start in a container here");
            return;
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
    machine.run("ln -sf /srv/docker.sock /run/docker.sock");
    // Another port than a toolbox of this machine has: the network is the host's.
    machine.run(
        "mkdir -p /etc/systemd/system/dtma.service.d; printf '[Service]\\nExecStart=\\nExecStart=/opt/dtma/current/dtma run \
         --state /var/lib/dtma --listen 127.0.0.1:0\\n' >/etc/systemd/system/dtma.service.d/port.conf",
    );
    let install = |version: &str| {
        format!("bash /release/{version}/install-dtma.sh --url {} --token-file /release/token 2>&1", plane.url)
    };
    machine.run(&install("0.1.0"));
    // The unit as it is, without the drop-in.
    machine.run("systemd-analyze verify /etc/systemd/system/dtma.service");
    machine.run("systemd-analyze security --offline=true --threshold=25 /etc/systemd/system/dtma.service");
    // It is active only when the daemon said that it is ready, and it is fed.
    let show = |what: &str| machine.run(&format!("systemctl show dtma -P {what}")).trim().to_owned();
    assert_eq!(
        (show("ActiveState"), show("Type"), show("WatchdogUSec")),
        ("active".into(), "notify".into(), "1min 30s".into())
    );
    until("it is fed", || show("WatchdogTimestampMonotonic") != "0").await;
    until("a check-in", || plane.seen().checkins > 0).await;

    let look = "systemctl show dtma -P MainPID -P ExecMainStartTimestampMonotonic; \
                find /opt/dtma /usr/local/bin/dtma /etc/systemd/system -type f -o -type l | sort | xargs stat -c '%n %i %y'";
    let before = machine.run(look);
    machine.run(&install("0.1.0"));
    assert_eq!(machine.run(look), before, "the second run changed something");

    let pid = show("MainPID");
    machine.run(&format!("kill -9 {pid}"));
    until("it is started again", || show("MainPID") != pid && show("ActiveState") == "active").await;

    // Its firewall rules are set from within the unit's sandbox: here in a network of its own, where none was before.
    let with = |lines: &str| {
        let file = "/etc/systemd/system/dtma.service.d/with.conf";
        machine.run(&format!("printf '[Service]\n{lines}\n' >{file}; systemctl daemon-reload; systemctl restart dtma"));
    };
    with("PrivateNetwork=yes");
    let rules = machine.run(&format!("nsenter -t {} -n iptables -S AGENTOPIA-INPUT", show("MainPID")));
    assert!(rules.contains("-A AGENTOPIA-INPUT -j DROP"), "{rules}");

    // One that stands still is not fed, and so it is ended and started again.
    with("WatchdogSec=4\nTimeoutAbortSec=1");
    let pid = show("MainPID");
    machine.run(&format!("kill -STOP {pid}"));
    until("what stands still is started again", || show("MainPID") != pid && show("ActiveState") == "active").await;
    with("");

    // A newer release goes into the same process, and proves itself.
    let pid = show("MainPID");
    let told = machine.run(&install("0.2.0"));
    assert!(told.contains("0.2.0 has proved itself"), "{told}");
    assert_eq!(show("MainPID"), pid);
    assert_eq!(machine.run("readlink /opt/dtma/current /opt/dtma/previous"), "0.2.0\n0.1.0\n");

    // One that dies at its start is taken back by the version before.
    let output = machine.output(&["bash", "-c", &install("0.3.0")]);
    assert!(!output.status.success() && said(&output).contains("0.3.0 was rolled back"), "{}", said(&output));
    until("0.2.0 runs again", || show("ActiveState") == "active" && show("MainPID") != "0").await;
    assert_eq!(machine.run("readlink /opt/dtma/current").trim(), "0.2.0");
    let again = machine.output(&["bash", "-c", &install("0.3.0")]);
    assert!(!again.status.success() && said(&again).contains("was rolled back before"), "{}", said(&again));

    machine.run("bash /release/0.2.0/install-dtma.sh --uninstall");
    machine
        .run("test -e /var/lib/dtma/identity.key && test ! -e /opt/dtma && test ! -e /etc/systemd/system/dtma.service");
    assert_ne!(said(&machine.output(&["systemctl", "is-active", "dtma"])).trim(), "active");
    machine.run(&install("0.2.0"));
    assert_eq!(plane.seen().enrolments, 1, "the state that stayed was not used");
    machine.run("bash /release/0.2.0/install-dtma.sh --uninstall --remove-data; test ! -e /var/lib/dtma");
}

async fn until(what: &str, look: impl Fn() -> bool) {
    let begun = Instant::now();
    while !look() {
        assert!(begun.elapsed() < Duration::from_secs(60), "not within a minute: {what}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
