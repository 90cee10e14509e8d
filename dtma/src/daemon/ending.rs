//! What ends the daemon, and what comes after it.

use crate::watch::Heart;
use std::{io, time::Duration};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// How often the loop that waits for the end turns without any reason.
const TURN: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// SIGTERM or SIGINT.
    Told,
    /// Another version is to run in this process: SIGUSR2 after an update, or an update that was rolled back.
    Replaced,
}

pub(super) struct Ending {
    term: Signal,
    int: Signal,
    replace: Signal,
}

impl Ending {
    /// From now on these signals no longer kill the process.
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            replace: signal(SignalKind::user_defined2())?,
        })
    }

    /// Waited for inside the gateway's accept loop, whose heart it is: it beats when that loop turns.
    pub(super) async fn wait(mut self, accepting: Heart, rolled_back: impl Future<Output = ()>) -> End {
        let mut rolled_back = std::pin::pin!(rolled_back);
        loop {
            accepting.beat(TURN * 2);
            tokio::select! {
                // Cancel-safe: signals are only looked at.
                _ = self.term.recv() => return End::Told,
                _ = self.int.recv() => return End::Told,
                _ = self.replace.recv() => return End::Replaced,
                // Cancel-safe: it is pinned outside and goes on where it was.
                () = &mut rolled_back => return End::Replaced,
                () = tokio::time::sleep(TURN) => {}
            }
        }
    }
}
