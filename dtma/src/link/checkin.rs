//! The check-in: report, hear, and wait for the interval, a wake or a change of what is reported, whichever comes first.

use super::{
    Error,
    backoff::{Backoff, jitter},
    client::Device,
    credentials::Keys,
};
use crate::{
    ledger::{Enrolment, Ledger},
    watch::Heart,
};
use capability::Verifier;
use domain::desired::{Accepted, accept};
use protocol::{
    Timestamp,
    ids::ServerId,
    server::ServerStatus,
    toolbox::{CheckInReply, CheckInRequest, DesiredState},
};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

/// Between two check-ins, whatever wakes them.
const APART: Duration = Duration::from_millis(250);
/// What belongs together is often reported in several changes.
const GATHER: Duration = Duration::from_millis(10);
/// A request and whatever is done with its answer take no longer, unless something hangs.
const TURN: Duration = Duration::from_secs(120);
const INTERVALS: std::ops::RangeInclusive<u32> = 1..=3600;
/// Seconds between two times that are kept.
const CLOCK_EVERY: i64 = 60;
/// A clock that is off by more is reported.
const SKEW: i64 = 30;

/// What is reported besides identity and sequence.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    pub applied_generation: u64,
    pub servers: Vec<ServerStatus>,
    /// Why Docker does not answer.
    pub docker_trouble: Option<String>,
    /// What else is wrong with the machine.
    pub trouble: Option<String>,
}

/// Makes the check-in come now. Cheap to clone.
#[derive(Clone, Default)]
pub struct Waker {
    notify: Arc<Notify>,
    last: Arc<Mutex<Option<Instant>>>,
}

impl Waker {
    /// False when it was asked for too often; the check-in that was asked for before still comes.
    pub fn wake(&self) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let free = last.is_none_or(|at| now - at >= APART);
        if free {
            *last = Some(now);
        }
        self.notify.notify_one();
        free
    }
}

pub struct CheckIn {
    pub heart: Heart,
    pub device: Device,
    pub ledger: Ledger,
    pub verifier: Verifier,
    pub keys: Keys,
    pub enrolment: Enrolment,
    pub gateway: String,
    pub boot_id: String,
    /// The control plane's time that the ledger has, seconds since the epoch.
    pub clock_kept: i64,
    pub waker: Waker,
    /// Called for every check-in; the receiver says when it would answer differently.
    pub report: Box<dyn Fn() -> Report + Send + Sync>,
    pub changed: watch::Receiver<()>,
    pub desired: watch::Sender<Option<DesiredState>>,
    /// Told of each list of revocations and each set of keys.
    pub heard: watch::Sender<()>,
}

impl CheckIn {
    /// Until the daemon ends.
    pub async fn run(mut self) {
        let mut backoff = Backoff::default();
        let mut interval = Duration::from_secs(30);
        let mut sequence = 0;
        // The tools that the control plane has, by server: a list that it has is not sent again.
        let mut told: BTreeMap<ServerId, String> = BTreeMap::new();
        let mut skew_told = false;
        loop {
            self.changed.mark_unchanged();
            sequence += 1;
            self.heart.beat(TURN);
            let begun = Instant::now();
            let mut apart = APART;
            let mut heard = false;
            let (request, tools) = self.request(sequence, &told);
            let wait = match self.device.post("/api/toolboxes/checkin", self.now(), &request).await {
                Ok(reply) => {
                    heard = true;
                    self.heart.succeeded();
                    backoff.reset();
                    told = tools;
                    interval = self.hear(reply, &mut skew_told, interval);
                    jitter(interval)
                }
                Err(error) => {
                    log(&error);
                    // At least as long as it asks for, whatever wakes us; what is above that keeps toolboxes apart.
                    let asked = error.retry_after().unwrap_or_default();
                    apart = apart.max(asked);
                    asked + backoff.next()
                }
            };
            let until = begun + wait;
            self.heart.beat(wait + TURN);
            tokio::select! {
                // Cancel-safe: a change stays marked. Nobody hears it as long as the control plane is away.
                changed = self.changed.changed(), if heard => {
                    if changed.is_err() {
                        return;
                    }
                    tokio::time::sleep(GATHER).await;
                }
                // Cancel-safe: a permit is kept.
                () = self.waker.notify.notified() => {}
                () = tokio::time::sleep_until(until) => {}
            }
            tokio::time::sleep_until(begun + apart).await;
        }
    }

    fn now(&self) -> i64 {
        self.verifier.time(Timestamp::now().as_second())
    }

    fn request(
        &self,
        sequence: u64,
        told: &BTreeMap<ServerId, String>,
    ) -> (CheckInRequest, BTreeMap<ServerId, String>) {
        let Report { applied_generation, mut servers, docker_trouble, trouble } = (self.report)();
        let mut tools = BTreeMap::new();
        for status in &mut servers {
            let Some(listed) = &status.tools else { continue };
            let now: String = listed.iter().map(|tool| tool.digest.as_str()).collect::<Vec<_>>().join(",");
            if told.get(&status.id) == Some(&now) {
                status.tools = None;
            }
            tools.insert(status.id, now);
        }
        let request = CheckInRequest {
            boot_id: self.boot_id.clone(),
            sequence,
            sent_at: Timestamp::now(),
            version: env!("CARGO_PKG_VERSION").into(),
            gateway: self.gateway.clone(),
            known_generation: self.desired.borrow().as_ref().map_or(0, |state| state.generation),
            applied_generation,
            revocation_sequence: self.ledger.revocations().load().ok().flatten().map_or(0, |list| list.sequence),
            servers,
            docker: docker_trouble.is_none(),
            trouble: docker_trouble.or(trouble),
        };
        (request, tools)
    }

    /// The next interval.
    fn hear(&mut self, reply: CheckInReply, skew_told: &mut bool, interval: Duration) -> Duration {
        let now = reply.now.as_second();
        let skew = Timestamp::now().as_second() - now;
        if skew.abs() > SKEW && !*skew_told {
            tracing::warn!(seconds = skew, "this machine's clock and the control plane's differ; set the clock");
        }
        *skew_told = skew.abs() > SKEW;
        self.verifier.observe(now);
        self.clock(now);
        self.revocations(&reply, now);
        self.keys(&reply);
        self.heard.send_replace(());
        if let Some(offered) = reply.desired {
            self.desired(offered);
        }
        if INTERVALS.contains(&reply.interval) { Duration::from_secs(reply.interval.into()) } else { interval }
    }

    /// The control plane's time outlives a restart, so that a machine whose clock was turned back accepts no token that ended.
    fn clock(&mut self, now: i64) {
        if now - self.clock_kept < CLOCK_EVERY {
            return;
        }
        match self.ledger.clock().store(&now) {
            Ok(()) => self.clock_kept = now,
            Err(error) => tracing::warn!(%error, "the time could not be kept"),
        }
    }

    fn revocations(&self, reply: &CheckInReply, now: i64) {
        if let Err(error) = self.verifier.set_revocations(&reply.revocations, now) {
            tracing::error!(%error, "the control plane's list of revocations is refused");
            return;
        }
        let document = self.ledger.revocations();
        let held = document.load().ok().flatten();
        if held.as_ref() != Some(&reply.revocations)
            && let Err(error) = document.store(&reply.revocations)
        {
            tracing::error!(%error, "the revocations could not be kept");
        }
    }

    fn keys(&mut self, reply: &CheckInReply) {
        if reply.capability_keys.is_empty() || reply.capability_keys == self.enrolment.capability_keys {
            return;
        }
        if let Err(error) = self.verifier.set_keys(&reply.capability_keys) {
            tracing::error!(%error, "the control plane's keys are refused");
            return;
        }
        self.enrolment.capability_keys = reply.capability_keys.clone();
        if let Ok(mut keys) = self.keys.write() {
            *keys = reply.capability_keys.clone();
        }
        if let Err(error) = self.ledger.enrolment().store(&self.enrolment) {
            tracing::error!(%error, "the control plane's keys could not be kept");
        }
    }

    fn desired(&self, offered: DesiredState) {
        let accepted = accept(self.desired.borrow().as_ref(), &offered);
        match accepted {
            Ok(Accepted::Same) => {}
            Ok(Accepted::Newer) => {
                // Kept first: what is acted upon is never lost.
                if let Err(error) = self.ledger.desired().store(&offered) {
                    tracing::error!(%error, "the desired state could not be kept, so it is not acted upon");
                    return;
                }
                tracing::info!(
                    generation = offered.generation,
                    servers = offered.servers.len(),
                    "a newer desired state"
                );
                self.desired.send_replace(Some(offered));
            }
            Err(refused) => tracing::error!(why = %refused, "the desired state is refused"),
        }
    }
}

fn log(error: &Error) {
    match error {
        Error::Refused { status: 401 | 403, fix, .. } => {
            tracing::error!(%error, fix, "this toolbox is not accepted; enrol it again if it was deleted");
        }
        Error::Unreachable(cause) => tracing::warn!(%error, %cause, "check-in failed"),
        _ => tracing::warn!(%error, "check-in failed"),
    }
}
