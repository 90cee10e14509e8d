//! Back to the version before. The link first: from then on whatever starts is the old one; the note follows.

use super::{Error, Failed, Layout, Trial};
use crate::ledger::Ledger;

pub(super) fn roll_back(ledger: &Ledger, layout: &Layout, trial: &Trial, why: &str, now: i64) -> Result<(), Error> {
    layout.set_current(trial.previous)?;
    let mut updates = ledger.updates().load()?.unwrap_or_default();
    updates.trial = None;
    updates.failed = Some(Failed { version: trial.version, why: why.to_owned(), at: now });
    ledger.updates().store(&updates)?;
    Ok(())
}
