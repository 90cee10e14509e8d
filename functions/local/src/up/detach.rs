//! `up --detach`: another process of this program does the work, and this one shows its steps until it is ready.

use super::{signals::Stop, toolbox::tail};
use crate::{
    home::{Home, Instance, Process},
    trouble::{self, Trouble},
};
use rustix::process::Signal;
use std::{
    fs::{File, OpenOptions},
    io::{Read, Write},
    os::unix::fs::OpenOptionsExt,
    process::{Command, Stdio},
    time::Duration,
};

/// Starts it and returns once it is healthy; `None` when it failed or was stopped, which was shown.
pub(crate) async fn start(home: &Home, port: Option<u16>, mut stop: Stop) -> Result<Option<Instance>, Trouble> {
    let path = home.logs().join("up.log");
    let open = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&path);
    let log = open.map_err(trouble::file("Opening", &path))?;
    let program = std::env::current_exe().map_err(|error| {
        Trouble::new("This program cannot find itself.", "Run it by its full path.").because(error.to_string())
    })?;
    let mut command = Command::new(&program);
    command.args(["up", "--detached"]).arg("--home").arg(home.path());
    if let Some(port) = port {
        command.arg("--port").arg(port.to_string());
    }
    let both = log.try_clone().map_err(trouble::file("Opening", &path))?;
    command.stdin(Stdio::null()).stdout(both).stderr(log);
    let mut child = command.spawn().map_err(trouble::file("Running", &program))?;

    let mut stopped = false;
    let mut shown = File::open(&path).map_err(trouble::file("Reading", &path))?;
    loop {
        show(&mut shown);
        if let Some(status) = child.try_wait().ok().flatten() {
            show(&mut shown);
            // It said why itself, unless it was ended from outside.
            let log = tail(home, "up.log");
            if stopped || log.lines().any(|line| line.starts_with("error: ")) {
                return Ok(None);
            }
            let next = format!("Look at {}.", home.logs().join("agentopia.log").display());
            return Err(Trouble::new(format!("Agentopia did not start ({status})."), next));
        }
        if let Some(instance) = Instance::running(home)?
            && instance.ready
            && instance.process.pid.unsigned_abs() == child.id()
        {
            show(&mut shown);
            return Ok(Some(instance));
        }
        tokio::select! {
            // Cancel-safe: a sleep.
            () = tokio::time::sleep(Duration::from_millis(50)) => {}
            // Cancel-safe. What the other process began it stops itself; the next look finds that it has ended.
            () = stop.asked() => {
                if let Some(process) = Process::of(child.id()) {
                    process.signal(Signal::TERM);
                }
                stopped = true;
            }
        }
    }
}

/// Passes on what was written since the last time.
fn show(log: &mut File) {
    let mut text = Vec::new();
    if log.read_to_end(&mut text).is_ok() {
        let _ = std::io::stderr().write_all(&text);
    }
}
