//! The record of one call that outlives its request.

use super::{
    Gateway,
    flags::Flags,
    record::{Access, Outcome, TraceId},
};
use capability::Checked;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// Noted when it is dropped, if it was not before: then the client has gone away.
pub(super) struct Entry {
    gateway: Gateway,
    checked: Arc<Checked>,
    /// None once it is noted.
    called: Option<Called>,
}

/// What was called.
pub(super) struct Called {
    pub(super) server: Arc<str>,
    pub(super) tool: Arc<str>,
    /// SHA-256 of the arguments' text.
    pub(super) arguments: [u8; 32],
    /// The text itself, where the toolbox's owner wants it.
    pub(super) values: Option<Box<str>>,
    /// Milliseconds since the epoch.
    pub(super) at: i64,
    pub(super) started: Instant,
    pub(super) trace: Option<TraceId>,
    /// What its answer shows.
    pub(super) flags: Flags,
}

impl Entry {
    pub(super) fn new(gateway: &Gateway, checked: &Arc<Checked>, called: Called) -> Self {
        Self { gateway: gateway.clone(), checked: checked.clone(), called: Some(called) }
    }

    pub(super) fn flag(&mut self, flags: Flags) {
        if let Some(called) = &mut self.called {
            called.flags = flags;
        }
    }

    pub(super) fn note(&mut self, outcome: Outcome) {
        if let Some(called) = self.called.take() {
            note(&self.gateway, &self.checked, called, outcome);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.note(Outcome::Cancelled);
    }
}

pub(super) fn note(gateway: &Gateway, checked: &Checked, called: Called, outcome: Outcome) {
    let elapsed: Duration = called.started.elapsed();
    let micros = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
    gateway.metrics.call(outcome, micros);
    gateway.records.push(Access {
        at: called.at,
        agent: checked.agent(),
        run: checked.run(),
        server: called.server,
        tool: called.tool,
        arguments: called.arguments,
        values: called.values,
        outcome,
        micros,
        trace: called.trace,
        flags: called.flags,
    });
}
