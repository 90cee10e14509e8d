//! The new version has proved itself: it stays, and what is older than the one before it goes.

use super::{Error, Layout, Trial};
use crate::ledger::Ledger;
use std::fs;

pub(super) fn commit(ledger: &Ledger, layout: &Layout, trial: &Trial) -> Result<(), Error> {
    let mut updates = ledger.updates().load()?.unwrap_or_default();
    updates.trial = None;
    ledger.updates().store(&updates)?;
    for version in layout.versions()? {
        let kept = version == trial.version || version == trial.previous;
        if !kept && let Err(error) = fs::remove_dir_all(layout.folder(version)) {
            tracing::warn!(%version, %error, "an old version could not be removed");
        }
    }
    Ok(())
}
