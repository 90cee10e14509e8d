//! One server's life: start or adopt it, offer its tools, and when it ends start it again after a while. Each server has its own
//! task, so that none waits for another.

use super::{
    Workshop,
    attempt::{Attempt, Ended},
    backoff::Backoff,
};
use protocol::server::{ServerSpec, ServerState};
use std::sync::{Arc, Mutex, PoisonError};
use tokio_util::sync::CancellationToken;

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

/// Until `cancel`: then the server is offered no more, and its container is left for the plan to remove, or for the next
/// daemon to adopt.
pub(super) async fn run(
    shop: Arc<Workshop>,
    spec: ServerSpec,
    digest: String,
    adopt: Option<String>,
    holding: Holding,
    cancel: CancellationToken,
) {
    let tail =
        shop.statuses.begin(&spec, if adopt.is_some() { ServerState::Starting } else { ServerState::Installing });
    let mut attempt = Attempt::new(shop.clone(), spec.clone(), digest, holding, tail);
    let mut backoff = Backoff::default();
    let mut adopt = adopt;
    loop {
        let ended = tokio::select! {
            () = cancel.cancelled() => return,
            // Cancel-safe as a whole: what it holds is given back when it is dropped, its container is found by its label.
            ended = attempt.once(adopt.take()) => ended,
        };
        if attempt.another_way(&ended) {
            continue;
        }
        let wait = backoff.next(ended.ran);
        tracing::warn!(server = %spec.name, why = %ended.detail, exit_code = ended.exit_code, again_in = wait.as_secs(), "a server ended");
        report(&shop, &spec, ended, wait.as_secs());
        tokio::select! {
            () = cancel.cancelled() => return,
            () = tokio::time::sleep(wait) => {}
        }
    }
}

fn report(shop: &Workshop, spec: &ServerSpec, ended: Ended, seconds: u64) {
    shop.statuses.update(spec.id, |status| {
        // "Failed" is a server that was never there; one that was comes back.
        status.state = if ended.listed { ServerState::BackingOff } else { ServerState::Failed };
        status.detail = Some(format!("{}; trying again in {seconds} s", ended.detail));
        status.exit_code = ended.exit_code;
        status.log_tail = ended.log;
        status.started_at = None;
    });
}
