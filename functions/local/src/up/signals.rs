//! Being asked to stop.

use crate::trouble::Trouble;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Ctrl-C, or the `down` of another terminal.
pub(crate) struct Stop {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

impl Stop {
    pub(crate) fn listen() -> Result<Self, Trouble> {
        let on = |kind| {
            signal(kind)
                .map_err(|error| Trouble::new("Signals cannot be received.", "Try again.").because(error.to_string()))
        };
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
            hangup: on(SignalKind::hangup())?,
        })
    }

    pub(crate) async fn asked(&mut self) {
        tokio::select! {
            // Cancel-safe, each of them.
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = self.hangup.recv() => {}
        }
    }
}
