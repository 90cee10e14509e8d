use super::{Run, enrolled};
use crate::{daemon, update};
use anyhow::{Context, bail};
use std::{
    fs,
    os::unix::{fs::OpenOptionsExt, process::CommandExt},
    path::Path,
    time::Duration,
};
use tracing_subscriber::EnvFilter;

impl Run {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (ledger, mut enrolment) = enrolled(&self.state)?;
        if let Some(url) = self.url {
            enrolment.control_plane = url;
        }
        if self.host.is_some() {
            enrolment.host = self.host;
        }
        let filter = EnvFilter::try_from_env("DTMA_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();

        let path = ledger.lock_path();
        let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path)?;
        let mut lock = fd_lock::RwLock::new(file);
        let Ok(_held) = lock.try_write() else {
            bail!(
                "another dtma serves {} already; stop it first, or choose another --state",
                ledger.folder().display()
            );
        };
        // No core dump may hold a server's credentials.
        rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
            .context("core dumps could not be turned off")?;
        let listen = self.listen.unwrap_or_else(|| enrolment.listen.clone());
        let trial = match update::begin(&ledger, Duration::from_secs(self.trial_seconds))? {
            update::Start::Run(trial) => trial,
            update::Start::Instead(program) => return become_program(&program),
        };
        match daemon::run(ledger, enrolment, listen, self.servers, trial).await? {
            daemon::End::Told => Ok(()),
            daemon::End::Replaced => become_program(&update::successor()?),
        }
    }
}

/// The same process with the same arguments; whatever it held open, the lock too, is let go. Returns only when it fails.
fn become_program(program: &Path) -> anyhow::Result<()> {
    let error = std::process::Command::new(program).args(std::env::args_os().skip(1)).exec();
    Err(error).with_context(|| format!("{} could not be started", program.display()))
}
