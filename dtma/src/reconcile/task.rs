//! One server's life: start or adopt it, offer its tools, and when it ends start it again after a while. Each server has its own
//! task, so that none waits for another.

use super::{
    Workshop,
    attempt::{Attempt, End, Ended},
};
use protocol::{
    server::{ServerSpec, ServerState},
    toolbox::DesiredState,
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// Until a container whose streams were lost is attached to again; longer each time, up to so many times as long.
const AGAIN: Duration = Duration::from_secs(1);
const LONGER: u32 = 60;

/// The container that the task has at the moment, for the plan.
#[derive(Clone, Default)]
pub(super) struct Holding(Arc<Mutex<Option<String>>>);

impl Holding {
    pub(super) fn get(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn set(&self, container: Option<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = container;
    }
}

/// What a task is begun with.
pub(super) struct Life {
    pub(super) shop: Arc<Workshop>,
    pub(super) spec: ServerSpec,
    pub(super) digest: String,
    pub(super) adopt: Option<String>,
    pub(super) holding: Holding,
    pub(super) generations: Generations,
    pub(super) cancel: CancellationToken,
}

impl Life {
    /// Until `cancel`: then the server is offered no more, and its container is left for the plan to remove, or for the next
    /// daemon to adopt.
    pub(super) async fn run(self) {
        let cancel = self.cancel.clone();
        tokio::select! {
            () = cancel.cancelled() => {}
            // Cancel-safe as a whole: what it holds is given back when it is dropped, its container is found by its label.
            () = self.live() => {}
        }
    }

    async fn live(mut self) {
        let Self { shop, spec, .. } = &self;
        let (shop, spec) = (shop.clone(), spec.clone());
        let state = if self.adopt.is_some() { ServerState::Starting } else { ServerState::Installing };
        let tail = shop.statuses.begin(&spec, state);
        let mut attempt = Attempt::new(shop.clone(), spec.clone(), self.digest.clone(), self.holding.clone(), tail);
        let mut adopt = self.adopt.take();
        if adopt.is_none() {
            let wait = shop.still_waits(spec.id, self.generations.now());
            if !wait.is_zero() {
                shop.statuses.update(spec.id, |status| {
                    status.state = ServerState::BackingOff;
                    status.detail = Some(format!("it ended before; trying again in {} s", wait.as_secs()));
                });
                self.generations.wait(wait).await;
            }
        }
        loop {
            let ended = attempt.once(adopt.take()).await;
            if attempt.another_way(&ended) {
                continue;
            }
            let generation = self.generations.now();
            match ended.end {
                End::Unknown => {
                    // Docker's fault, so not held against the server.
                    tracing::warn!(server = %spec.name, why = %ended.detail, "Docker does not say how a server is");
                    shop.statuses.update(spec.id, |status| {
                        status.state = ServerState::BackingOff;
                        status.detail = Some(ended.detail);
                        status.started_at = None;
                    });
                    adopt = attempt.once_docker_answers().await;
                }
                End::StillRuns => {
                    tracing::warn!(server = %spec.name, why = %ended.detail, "a server runs and is not reached; attaching again");
                    shop.statuses.update(spec.id, |status| status.detail = Some(ended.detail));
                    tokio::time::sleep(AGAIN * attempt.lost().clamp(1, LONGER)).await;
                    adopt = self.holding.get();
                }
                End::Over => {
                    let wait = shop.ended(spec.id, generation, ended.ran);
                    tracing::warn!(server = %spec.name, why = %ended.detail, exit_code = ended.exit_code, again_in = wait.as_secs(), "a server ended");
                    report(&shop, &spec, ended, wait.as_secs());
                    self.generations.wait(wait).await;
                }
            }
        }
    }
}

/// The generations of the desired state.
pub(super) struct Generations(pub(super) watch::Receiver<Option<DesiredState>>);

impl Generations {
    pub(super) fn now(&self) -> u64 {
        self.0.borrow().as_ref().map_or(0, |state| state.generation)
    }

    /// A new generation ends the wait: whoever changed something wants to see what it does.
    pub(super) async fn wait(&mut self, wait: Duration) {
        let now = self.now();
        let newer = |state: &Option<DesiredState>| state.as_ref().is_some_and(|state| state.generation > now);
        // Past the time, or with the daemon ending, there is nothing to wait for either.
        let _ = tokio::time::timeout(wait, self.0.wait_for(newer)).await;
    }
}

pub(super) fn report(shop: &Workshop, spec: &ServerSpec, ended: Ended, seconds: u64) {
    shop.statuses.update(spec.id, |status| {
        // "Failed" is a server that was never there; one that was comes back.
        status.state = if ended.listed { ServerState::BackingOff } else { ServerState::Failed };
        status.detail = Some(format!("{}; trying again in {seconds} s", ended.detail));
        status.exit_code = ended.exit_code;
        status.log_tail = ended.log;
        status.started_at = None;
    });
}
