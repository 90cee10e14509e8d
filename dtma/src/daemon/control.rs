//! What the gateway asks of the daemon for the control plane.

use crate::{
    gateway::{Control, Lines},
    link::Waker,
    reconcile::Statuses,
};
use futures::stream::{self, StreamExt};

pub(super) struct Handles {
    pub(super) waker: Waker,
    pub(super) statuses: Statuses,
}

impl Control for Handles {
    fn wake(&self) -> bool {
        self.waker.wake()
    }

    fn logs(&self, server: &str) -> Option<Lines> {
        let (kept, live) = self.statuses.tail(server)?.follow();
        let live = stream::unfold(live, |mut live| async move {
            loop {
                match live.recv().await {
                    Ok(line) => return Some((line.to_string(), live)),
                    // A reader that was too slow goes on with what is new.
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Some(Box::pin(stream::iter(kept.into_iter().map(|line| line.to_string())).chain(live)))
    }
}
