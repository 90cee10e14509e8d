use super::{Settle, Update, status::is_running};
use crate::{
    daemon::State,
    ledger::Ledger,
    update::{self, Error, Layout, Refused, Version},
};
use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};
use std::{fs, time::Duration};
use tokio::time::Instant;

/// Longer than any trial that somebody would wait for.
const PATIENCE: Duration = Duration::from_secs(15 * 60);
/// For a service manager to start a daemon that ended.
const RESTART: Duration = Duration::from_secs(30);

impl Update {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (layout, _) = Layout::of_this_program()?;
        let ledger = Ledger::open(&self.state.folder())?;
        let version = match update::apply(&ledger, &layout, &self.from, self.again).await {
            Ok(version) => version,
            Err(Error::Refused(Refused::NotNewer { offered, present })) if offered == present => {
                println!("{present} is installed already");
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if !is_running(&ledger) {
            println!("switched to {version}; its trial begins when dtma starts");
            return Ok(());
        }
        println!("switched to {version}; it is on trial now");
        replace(&ledger).context("the daemon could not be told; restart it, and the trial begins")?;
        outcome(&ledger, version).await
    }
}

/// The daemon starts the new version in its own process.
fn replace(ledger: &Ledger) -> anyhow::Result<()> {
    let state: State = serde_json::from_slice(&fs::read(ledger.status_path())?)?;
    let name = fs::read_to_string(format!("/proc/{}/comm", state.pid))?;
    // state.json may be of a daemon that was killed, and its number belong to somebody else by now.
    anyhow::ensure!(name.trim() == "dtma", "process {} is not dtma", state.pid);
    let pid = i32::try_from(state.pid).ok().and_then(Pid::from_raw).context("it has no process id")?;
    Ok(kill_process(pid, Signal::USR2)?)
}

async fn outcome(ledger: &Ledger, version: Version) -> anyhow::Result<()> {
    let (begun, mut seen) = (Instant::now(), Instant::now());
    while begun.elapsed() < PATIENCE {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let updates = ledger.updates().load()?.unwrap_or_default();
        if updates.trial.is_none() {
            match updates.failed.filter(|failed| failed.version == version) {
                Some(failed) => bail!("{version} was rolled back: {}", failed.why),
                None => println!("{version} has proved itself and is committed"),
            }
            return Ok(());
        }
        if is_running(ledger) {
            seen = Instant::now();
        } else if seen.elapsed() > RESTART {
            bail!(
                "dtma ended during the trial of {version}, and nothing starts it again; start it: at its fourth start it goes back by itself"
            );
        }
    }
    bail!("the trial of {version} has no end yet; dtma's log says what it waits for")
}

impl Settle {
    pub(super) fn run(self) -> anyhow::Result<()> {
        if self.result == "success" {
            return Ok(());
        }
        let (layout, _) = Layout::of_this_program()?;
        if let Some(failed) = update::settle(&Ledger::open(&self.state.folder())?, &layout)? {
            println!("{} was rolled back: {}", failed.version, failed.why);
        }
        Ok(())
    }
}
