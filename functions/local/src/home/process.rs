//! A process, told apart from another one that got its number later.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};
use serde::{Deserialize, Serialize};
use std::time::Duration;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    pub pid: i32,
    /// When it started, as the kernel counts it; 0 where that cannot be known.
    started: u64,
}

impl Process {
    /// The process that has this number now.
    pub fn of(pid: u32) -> Option<Self> {
        let pid = i32::try_from(pid).ok()?;
        Some(Self { pid, started: started(pid).unwrap_or(0) })
    }

    pub fn alive(self) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        if test_kill_process(pid).is_err() {
            return false;
        }
        match started(self.pid) {
            Some(now) => self.started == 0 || now == self.started,
            None => !std::path::Path::new("/proc/self").exists(),
        }
    }

    pub fn signal(self, signal: Signal) {
        if self.alive()
            && let Some(pid) = Pid::from_raw(self.pid)
        {
            // It may have gone in between: then there is nothing to do.
            let _ = kill_process(pid, signal);
        }
    }

    /// Asks it to stop, and ends it when it has not after `patience`. True when it stopped by itself.
    pub async fn stop(self, patience: Duration) -> bool {
        self.signal(Signal::TERM);
        if self.gone(patience).await {
            return true;
        }
        self.signal(Signal::KILL);
        self.gone(Duration::from_secs(2)).await;
        false
    }

    /// Waits until it is gone.
    pub async fn gone(self, patience: Duration) -> bool {
        let end = tokio::time::Instant::now() + patience;
        while self.alive() {
            if tokio::time::Instant::now() >= end {
                return false;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        true
    }
}

/// Field 22 of `/proc/<pid>/stat`; the name in field 2 may hold anything but its closing bracket is the last one. A
/// process that has ended and was not waited for (state Z) counts as gone.
fn started(pid: i32) -> Option<u64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let rest: Vec<&str> = text.rsplit_once(')')?.1.split_whitespace().collect();
    if matches!(*rest.first()?, "Z" | "X") {
        return None;
    }
    rest.get(19)?.parse().ok()
}
