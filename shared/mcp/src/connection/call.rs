//! A call whose caller hears what the server says before it answers.

use super::{
    Answer, Connection, Said,
    pending::{Asker, Ear, Pending, Settled},
};
use crate::{
    Error,
    message::{Message, Rewrite},
};
use std::{
    sync::atomic::Ordering::Relaxed,
    time::{Duration, Instant},
};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, oneshot},
    time::{timeout, timeout_at},
};

/// What the server may say before its caller takes it; what does not fit is lost, a question refused.
const UNHEARD: usize = 64;

/// Dropped before its answer came, it is withdrawn and the server told.
pub struct Call {
    connection: Connection,
    id: u64,
    until: Instant,
    limit: Duration,
    settled: bool,
    said: mpsc::Receiver<Said>,
    answer: oneshot::Receiver<Settled>,
    _room: [OwnedSemaphorePermit; 2],
}

#[derive(Debug)]
pub enum Heard {
    Said(Said),
    Answer(Answer),
}

impl Connection {
    /// As `forward`, but what the server says about the call can be heard, and its questions answered. What names no call
    /// is heard by one of the asker's while nobody else has one under way.
    pub async fn begin<'m>(
        &self,
        message: &'m Message<'m>,
        rewrite: Rewrite<'m>,
        limit: Duration,
        asker: Asker,
    ) -> Result<Call, Error> {
        let rewrite = message.bridged(rewrite, self.peer().version.is_stateless());
        let (handle, size, until) = (&*self.0, rewrite.size(), Instant::now() + limit);
        let most = handle.options.in_flight_bytes;
        if size > most {
            return Err(Error::TooLarge { size, limit: most });
        }
        let room = timeout(limit, async {
            let call = handle.calls.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
            let bytes = handle.bytes.clone().acquire_many_owned(size as u32).await.map_err(|_| Error::Closed)?;
            Ok::<_, Error>([call, bytes])
        });
        let room = room.await.map_err(|_| Error::TimedOut(limit))??;
        let id = handle.shared.next.fetch_add(1, Relaxed);
        let (sender, said) = mpsc::channel(UNHEARD);
        let answer = handle.shared.pending.expect(id, Ear::Open(sender, asker))?;
        let call = Call { connection: self.clone(), id, until, limit, settled: false, said, answer, _room: room };
        handle.shared.outbox.write(|out| rewrite.write(id, out));
        Ok(call)
    }
}

impl Call {
    /// When it is withdrawn unless it is answered.
    pub fn until(&self) -> Instant {
        self.until
    }

    /// What comes next; after the answer or an error there is nothing more. Cancel-safe.
    pub async fn next(&mut self) -> Result<Heard, Error> {
        let next = timeout_at(self.until.into(), async {
            tokio::select! {
                biased;
                // Cancel-safe: a channel keeps what is not taken. First, because it was said first.
                Some(said) = self.said.recv() => Ok(Heard::Said(said)),
                // Cancel-safe: so does this one.
                answer = &mut self.answer => {
                    self.settled = true;
                    let answer = answer.map_err(|_| Error::Closed)?.map_err(Error::BadAnswer)?;
                    Ok(Heard::Answer(answer))
                }
            }
        });
        next.await.map_err(|_| Error::TimedOut(self.limit))?
    }

    /// Answers a question of the server. `answer` is a JSON-RPC message's end: `"result":…` or `"error":…`. False when the
    /// question is not open (any more), or when the server reads so slowly that too much waits for it.
    pub fn reply(&self, question: &str, answer: &str) -> bool {
        let handle = &self.connection.0;
        let open = handle.shared.pending.answered(question).is_some_and(|call| call == self.id);
        // Line breaks can only stand between tokens.
        let mut line = format!("{{\"jsonrpc\":\"2.0\",\"id\":{question},{answer}}}").replace(['\r', '\n'], " ");
        line.push('\n');
        open && handle.shared.outbox.offer(line.as_bytes(), handle.options.in_flight_bytes)
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if !self.settled {
            Pending::withdraw(&self.connection.0.shared, self.id);
        }
    }
}
