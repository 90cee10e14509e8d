//! A toolbox to be measured: the real `dtma` with servers in their hardened containers, beside a control plane that only
//! this program knows. `scripts/bench` drives it.
//!
//! * `prepare`: enrols, deploys and waits until the tools are listed, then ends the daemon; its servers run on, and the control
//!   plane stays in a process of its own. `dtma run --state DIR/box` is then what is measured, `DIR/token` its capability.
//! * `plane`: that control plane, until it is killed; `DIR/plane.pid` says whom to kill.

mod plane;

use std::{
    error::Error,
    fs,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

type Done = Result<(), Box<dyn Error>>;

const PATIENCE: Duration = Duration::from_secs(120);

#[derive(clap::Parser)]
enum Action {
    Prepare(Options),
    Plane(Options),
}

#[derive(clap::Args)]
struct Options {
    /// Where everything is kept
    #[arg(long)]
    dir: PathBuf,
    /// The daemon's program
    #[arg(long)]
    dtma: PathBuf,
    /// Where its gateway listens, on loopback
    #[arg(long)]
    port: u16,
    /// The servers' image
    #[arg(long)]
    image: String,
    /// How many of them
    #[arg(long, default_value_t = 1)]
    count: usize,
}

fn main() -> Done {
    match <Action as clap::Parser>::parse() {
        Action::Prepare(options) => prepare(&options),
        Action::Plane(options) => plane::run(&options),
    }
}

fn prepare(options: &Options) -> Done {
    let dir = &options.dir;
    let mut plane = Command::new(std::env::current_exe()?);
    plane.arg("plane").arg("--dir").arg(dir).arg("--dtma").arg(&options.dtma);
    plane.args(["--port", &options.port.to_string(), "--image", &options.image, "--count", &options.count.to_string()]);
    let log = fs::File::create(dir.join("plane.log"))?;
    // It stays when this program ends.
    plane.process_group(0).stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    wait_for(&dir.join("plane.url"))?;

    let state = dir.join("box");
    fs::write(dir.join("enrol"), "any")?;
    let url = fs::read_to_string(dir.join("plane.url"))?;
    let mut enrol = Command::new(&options.dtma);
    enrol.args(["enrol", "--url", &url, "--listen", &format!("127.0.0.1:{}", options.port), "--token-file"]);
    let enrolled = enrol.arg(dir.join("enrol")).arg("--state").arg(&state).status()?;
    if !enrolled.success() {
        return Err("dtma does not enrol".into());
    }
    let mut daemon = Command::new(&options.dtma).arg("run").arg("--state").arg(&state).spawn()?;
    let listed = wait_for(&dir.join("token"));
    Command::new("kill").arg(daemon.id().to_string()).status()?;
    daemon.wait()?;
    listed
}

fn wait_for(file: &Path) -> Done {
    let until = Instant::now() + PATIENCE;
    while !file.exists() {
        if Instant::now() > until {
            return Err(format!("{} does not come", file.display()).into());
        }
        std::thread::park_timeout(Duration::from_millis(20));
    }
    Ok(())
}
