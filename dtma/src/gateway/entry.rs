//! The record of one call that outlives its request.

use super::{
    Gateway,
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
    server: Arc<str>,
    tool: Arc<str>,
    arguments: [u8; 32],
    at: i64,
    started: Instant,
    trace: Option<TraceId>,
    noted: bool,
}

/// What was called.
pub(super) struct Called {
    pub(super) server: Arc<str>,
    pub(super) tool: Arc<str>,
    /// SHA-256 of the arguments' text.
    pub(super) arguments: [u8; 32],
    /// Milliseconds since the epoch.
    pub(super) at: i64,
    pub(super) started: Instant,
    pub(super) trace: Option<TraceId>,
}

impl Entry {
    pub(super) fn new(gateway: &Gateway, checked: &Arc<Checked>, called: Called) -> Self {
        let Called { server, tool, arguments, at, started, trace } = called;
        let (gateway, checked) = (gateway.clone(), checked.clone());
        Self { gateway, checked, server, tool, arguments, at, started, trace, noted: false }
    }

    pub(super) fn note(&mut self, outcome: Outcome) {
        if std::mem::replace(&mut self.noted, true) {
            return;
        }
        let (server, tool) = (self.server.clone(), self.tool.clone());
        let (arguments, at, started, trace) = (self.arguments, self.at, self.started, self.trace);
        let called = Called { server, tool, arguments, at, started, trace };
        note(&self.gateway, &self.checked, called, outcome);
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
        outcome,
        micros,
        trace: called.trace,
    });
}
