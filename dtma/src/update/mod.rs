//! Updates that undo themselves.
//!
//! [`verify`](verify()) says whether a release may replace this program, `stage` lays it into a folder of its own, `switch`
//! points there, and the daemon starts itself anew in its own process. Then it is on trial: after one reconcile and one
//! check-in it is committed; otherwise it is rolled back, by itself where it still runs, at its fourth start where it dies,
//! and by the service manager, through the version before (`dtma settle`), where it ends by itself. Containers are not
//! touched by any of this: the next daemon adopts them.

mod commit;
mod layout;
mod roll_back;
mod source;
mod stage;
mod switch;
mod trial;
mod verify;
mod version;

pub use layout::Layout;
pub use source::{Source, SourceError};
pub use trial::{Failed, Moment, Trial, Updates, Verdict, judge};
pub use verify::{Refused, Release, verify};
pub use version::{NotAVersion, Version};

use crate::{
    ledger::{self, Ledger},
    watch::Heart,
};
use protocol::Timestamp;
use std::{
    fs, io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    time::Duration,
};

const SUMS_LIMIT: usize = 64 << 10;
const SIGNATURE_LIMIT: usize = 64;
const PROGRAM_LIMIT: usize = 256 << 20;
/// Between two looks at whether a version on trial has proved itself.
const LOOK: Duration = Duration::from_millis(200);

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{} does not lie in a folder of versions, so it cannot update itself; install it with install-dtma.sh", .0.display())]
    NotInstalled(PathBuf),
    #[error("{} cannot be read or written", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("{} does not point at a version", .0.display())]
    Link(PathBuf),
    #[error("{} is not a release key: 32 bytes in base64url without padding", .0.display())]
    Key(PathBuf),
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("the new program does not run on this machine: {0}")]
    DoesNotRun(String),
    #[error("another update is under way")]
    Busy,
    #[error("{0} is on trial; wait until it is committed or rolled back")]
    OnTrial(Version),
    #[error("{} was rolled back before: {}; add --again to try it once more", .0.version, .0.why)]
    FailedBefore(Failed),
    #[error(transparent)]
    Ledger(#[from] ledger::Error),
}

impl Error {
    fn io(path: &Path, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), source }
    }
}

/// From the source to the switched link. The version that is on trial from now on.
pub async fn apply(ledger: &Ledger, layout: &Layout, source: &Source, again: bool) -> Result<Version, Error> {
    let path = ledger.folder().join("update.lock");
    let file = fs::OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path);
    let mut lock = fd_lock::RwLock::new(file.map_err(|source| Error::io(&path, source))?);
    let _held = lock.try_write().map_err(|_| Error::Busy)?;

    let present = layout.current()?;
    let updates = ledger.updates().load()?.unwrap_or_default();
    if let Some(trial) = updates.trial.filter(|trial| trial.version == present) {
        return Err(Error::OnTrial(trial.version));
    }
    let sums = source.read("SHA256SUMS", SUMS_LIMIT).await?;
    let signature = source.read("SHA256SUMS.sig", SIGNATURE_LIMIT).await?;
    let release = verify(&sums, &signature, &layout.key()?, present)?;
    if let Some(failed) = updates.failed.filter(|failed| failed.version == release.version && !again) {
        return Err(Error::FailedBefore(failed));
    }
    let program = source.read(&release.name, PROGRAM_LIMIT).await?;
    release.check(&program)?;
    stage::stage(layout, release.version, &program).await?;
    switch::switch(ledger, layout, present, release.version, now())?;
    Ok(release.version)
}

/// What a daemon does at its start.
pub enum Start {
    Run(Option<OnTrial>),
    /// This version was rolled back just now; the one that lies here is to run in its place.
    Instead(PathBuf),
}

/// Counts the start of a version on trial.
pub fn begin(ledger: &Ledger, limit: Duration) -> Result<Start, Error> {
    // Not installed by the script: there is nothing to go back to.
    let Ok((layout, running)) = Layout::of_this_program() else { return Ok(Start::Run(None)) };
    let mut updates = ledger.updates().load()?.unwrap_or_default();
    let Some(mut trial) = updates.trial.clone() else { return Ok(Start::Run(None)) };
    if trial.version != layout.current()? {
        // A switch that broke off before the link was changed.
        updates.trial = None;
        ledger.updates().store(&updates)?;
        return Ok(Start::Run(None));
    }
    if trial.version != running {
        return Ok(Start::Run(None));
    }
    if let Verdict::RollBack(why) = judge(&trial, Moment::Start, limit) {
        tracing::error!(version = %trial.version, back_to = %trial.previous, why, "the update is rolled back");
        roll_back::roll_back(ledger, &layout, &trial, &why, now())?;
        return Ok(Start::Instead(layout.program()));
    }
    trial.boots += 1;
    updates.trial = Some(trial.clone());
    ledger.updates().store(&updates)?;
    tracing::info!(version = %trial.version, start = trial.boots, "this version is on trial");
    Ok(Start::Run(Some(OnTrial { ledger: ledger.clone(), layout, trial, limit })))
}

/// A version that has not proved itself yet.
pub struct OnTrial {
    ledger: Ledger,
    layout: Layout,
    trial: Trial,
    limit: Duration,
}

impl OnTrial {
    /// Resolves when the version was rolled back, and never when it was committed.
    pub async fn prove(self, reconciler: Heart, checkin: Heart) {
        let begun = tokio::time::Instant::now();
        let version = self.trial.version;
        loop {
            let moment = Moment::Running {
                lasted: begun.elapsed(),
                reconciled: reconciler.has_succeeded(),
                checked_in: checkin.has_succeeded(),
            };
            match judge(&self.trial, moment, self.limit) {
                Verdict::Keep => {}
                Verdict::Commit => match commit::commit(&self.ledger, &self.layout, &self.trial) {
                    Ok(()) => {
                        tracing::info!(%version, "the update is committed");
                        return std::future::pending().await;
                    }
                    Err(error) => tracing::error!(%version, %error, "the update could not be committed yet"),
                },
                Verdict::RollBack(why) => {
                    tracing::error!(%version, back_to = %self.trial.previous, why, "the update is rolled back");
                    match roll_back::roll_back(&self.ledger, &self.layout, &self.trial, &why, now()) {
                        Ok(()) => return,
                        Err(error) => tracing::error!(%version, %error, "it could not be rolled back yet"),
                    }
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
}

/// After the daemon ended by itself: a version on trial does not get another try. What was rolled back, if something was.
pub fn settle(ledger: &Ledger, layout: &Layout) -> Result<Option<Failed>, Error> {
    let Some(trial) = ledger.updates().load()?.unwrap_or_default().trial else { return Ok(None) };
    if layout.current()? == trial.version
        && let Verdict::RollBack(why) = judge(&trial, Moment::Crashed, Duration::ZERO)
    {
        roll_back::roll_back(ledger, layout, &trial, &why, now())?;
        return Ok(ledger.updates().load()?.unwrap_or_default().failed);
    }
    Ok(None)
}

/// What is to run in the place of a daemon that is told to start anew.
pub fn successor() -> io::Result<PathBuf> {
    Layout::of_this_program().map(|(layout, _)| layout.program()).or_else(|_| std::env::current_exe())
}

fn now() -> i64 {
    Timestamp::now().as_second()
}
