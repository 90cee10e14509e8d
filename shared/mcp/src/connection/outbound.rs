//! Towards the server: callers append whole lines to a buffer, one task writes what has gathered.

use super::Shared;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::{
    io::{AsyncWrite, AsyncWriteExt},
    sync::Notify,
    task::yield_now,
};

/// Bytes beyond which messages of our own (cancellations, replies to pings) are dropped: a server that does not read
/// its input cannot make us gather them.
const OWN: usize = 1 << 20;

#[derive(Default)]
pub(super) struct Outbox {
    buffer: Mutex<Vec<u8>>,
    notify: Notify,
}

impl Outbox {
    fn lock(&self) -> MutexGuard<'_, Vec<u8>> {
        // The buffer is only ever appended to; a panic in between leaves whole lines.
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For requests, which are bounded by the permits that they hold.
    pub(super) fn write(&self, write: impl FnOnce(&mut Vec<u8>)) {
        write(&mut self.lock());
        self.notify.notify_one();
    }

    /// For messages that nobody waits for.
    pub(super) fn push(&self, line: &[u8]) {
        self.offer(line, OWN);
    }

    /// False, and nothing is written, when more than so many bytes would wait.
    pub(super) fn offer(&self, line: &[u8], most: usize) -> bool {
        let mut buffer = self.lock();
        let fits = buffer.len() + line.len() <= most;
        if fits {
            buffer.extend_from_slice(line);
            drop(buffer);
            self.notify.notify_one();
        }
        fits
    }

    pub(super) fn wake(&self) {
        self.notify.notify_one();
    }
}

/// Writes until the connection closes.
pub(super) async fn run(shared: Arc<Shared>, mut writer: impl AsyncWrite + Unpin) {
    let mut batch = Vec::new();
    loop {
        std::mem::swap(&mut batch, &mut *shared.outbox.lock());
        if batch.is_empty() {
            if shared.is_closed() {
                break;
            }
            shared.outbox.notify.notified().await;
            // Once more around: to wake a server that sleeps costs as much as a call, and what has come in meanwhile goes along.
            yield_now().await;
            continue;
        }
        let mut closed = shared.closed.subscribe();
        let written = tokio::select! {
            // Not cancel-safe, and need not be: the connection is over when the other arm wins.
            written = async { writer.write_all(&batch).await?; writer.flush().await } => written.is_ok(),
            _ = closed.wait_for(|closed| *closed) => false,
        };
        if !written {
            break;
        }
        // One big request must not keep its memory for the life of the connection.
        if batch.capacity() > 1 << 20 {
            batch = Vec::new();
        }
        batch.clear();
    }
    shared.close();
    // End of input is how a server over standard streams is told to leave.
    let _ = writer.shutdown().await;
}
