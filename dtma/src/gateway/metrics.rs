//! What the daemon counts, in Prometheus' text format. Every label's values are known beforehand.

use super::{flags::Flag, record::Outcome};
use std::{
    collections::BTreeMap,
    fmt::Write,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// Upper bounds of the histogram's buckets, in microseconds.
const BUCKETS: [u64; 10] = [100, 250, 500, 1_000, 5_000, 25_000, 100_000, 500_000, 2_500_000, 10_000_000];

#[derive(Default)]
pub(super) struct Metrics {
    calls: [AtomicU64; Outcome::ALL.len()],
    buckets: [AtomicU64; BUCKETS.len()],
    count: AtomicU64,
    micros: AtomicU64,
    flagged: [AtomicU64; Flag::ALL.len()],
    /// By `capability::Refusal::code`, of which there are about a dozen.
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

impl Metrics {
    pub(super) fn call(&self, outcome: Outcome, micros: u64) {
        self.calls[outcome as usize].fetch_add(1, Relaxed);
        if let Some(bucket) = BUCKETS.iter().position(|bound| micros <= *bound) {
            self.buckets[bucket].fetch_add(1, Relaxed);
        }
        self.count.fetch_add(1, Relaxed);
        self.micros.fetch_add(micros, Relaxed);
    }

    pub(super) fn flagged(&self, flag: Flag) {
        self.flagged[flag as usize].fetch_add(1, Relaxed);
    }

    pub(super) fn refused(&self, code: &'static str) {
        *self.refused.lock().unwrap_or_else(PoisonError::into_inner).entry(code).or_default() += 1;
    }

    pub(super) fn text(&self, servers: usize, sessions: usize, in_flight: usize, redefined: u64) -> String {
        let mut out = String::new();
        let mut line = |text: std::fmt::Arguments<'_>| {
            // Writing to a String does not fail.
            let _ = writeln!(out, "{text}");
        };
        line(format_args!("# TYPE agentopia_tool_calls_total counter"));
        for outcome in Outcome::ALL {
            let count = self.calls[outcome as usize].load(Relaxed);
            line(format_args!("agentopia_tool_calls_total{{outcome=\"{}\"}} {count}", outcome.as_str()));
        }
        line(format_args!("# TYPE agentopia_tool_call_seconds histogram"));
        let mut below = 0;
        for (bound, count) in BUCKETS.iter().zip(&self.buckets) {
            below += count.load(Relaxed);
            let bound = *bound as f64 / 1e6;
            line(format_args!("agentopia_tool_call_seconds_bucket{{le=\"{bound}\"}} {below}"));
        }
        let count = self.count.load(Relaxed);
        line(format_args!("agentopia_tool_call_seconds_bucket{{le=\"+Inf\"}} {count}"));
        line(format_args!("agentopia_tool_call_seconds_sum {}", self.micros.load(Relaxed) as f64 / 1e6));
        line(format_args!("agentopia_tool_call_seconds_count {count}"));
        line(format_args!("# TYPE agentopia_answers_flagged_total counter"));
        for flag in Flag::ALL {
            let count = self.flagged[flag as usize].load(Relaxed);
            line(format_args!("agentopia_answers_flagged_total{{flag=\"{}\"}} {count}", flag.as_str()));
        }
        line(format_args!("# TYPE agentopia_tools_redefined_total counter"));
        line(format_args!("agentopia_tools_redefined_total {redefined}"));
        line(format_args!("# TYPE agentopia_tokens_refused_total counter"));
        for (code, count) in self.refused.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            line(format_args!("agentopia_tokens_refused_total{{reason=\"{code}\"}} {count}"));
        }
        for (name, value) in [("servers", servers), ("sessions", sessions), ("calls_in_flight", in_flight)] {
            line(format_args!("# TYPE agentopia_{name} gauge"));
            line(format_args!("agentopia_{name} {value}"));
        }
        out
    }
}
