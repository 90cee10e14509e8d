//! From one version to the next: remembered first, then switched, so that a crash in between leaves the old version, and a
//! note of a trial that never began.

use super::{Error, Layout, Trial, Version};
use crate::ledger::Ledger;

pub(super) fn switch(ledger: &Ledger, layout: &Layout, from: Version, to: Version, now: i64) -> Result<(), Error> {
    let mut updates = ledger.updates().load()?.unwrap_or_default();
    updates.trial = Some(Trial { version: to, previous: from, since: now, boots: 0 });
    ledger.updates().store(&updates)?;
    layout.set_previous(from)?;
    layout.set_current(to)
}
