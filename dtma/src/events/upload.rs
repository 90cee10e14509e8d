//! The loop that keeps events and uploads them.

use super::{Dated, Sources, gather::Told};
use crate::{
    ledger::Spool,
    link::{Error, client::Device},
    watch::Heart,
};
use capability::Verifier;
use protocol::{
    Timestamp,
    event::{EventReply, EventUpload, Happening, Lost},
};
use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::sync::watch;

const EVERY: Duration = Duration::from_secs(1);
const TURN: Duration = Duration::from_secs(120);
/// Events of one upload.
const BATCH: usize = 250;
/// Events that wait in memory while the disk takes none.
const PENDING: usize = 10_000;

pub struct Uploader {
    pub heart: Heart,
    pub device: Device,
    pub verifier: Verifier,
    pub sources: Sources,
    pub spool: Spool,
    /// Told of each check-in that succeeded. It has the backoff: an upload that failed waits for the next of these.
    pub heard: watch::Receiver<()>,
}

impl Uploader {
    /// Until the daemon ends.
    pub async fn run(self) {
        let Self { heart, device, verifier, sources, spool, mut heard } = self;
        let spool = Arc::new(Mutex::new(spool));
        let mut told = Told::new();
        let mut pending: Vec<Dated> = Vec::new();
        let mut reachable = true;
        loop {
            heart.beat(TURN);
            tokio::select! {
                // Both cancel-safe: a sleep, and a permit that is kept.
                () = tokio::time::sleep(EVERY) => {}
                () = sources.records.filling() => {}
            }
            pending.extend(sources.take(&mut told));
            pending = keep(spool.clone(), pending).await;
            reachable |= heard.has_changed().unwrap_or(false);
            heard.mark_unchanged();
            while reachable {
                match upload(&device, &verifier, &spool).await {
                    Ok(true) => heart.beat(TURN),
                    Ok(false) => break,
                    Err(error) => {
                        tracing::warn!(%error, "events were not uploaded; they wait for the next check-in");
                        reachable = false;
                    }
                }
            }
        }
    }
}

/// Into the spool; what it does not take comes back, and the oldest of that is given up.
async fn keep(spool: Arc<Mutex<Spool>>, mut pending: Vec<Dated>) -> Vec<Dated> {
    let kept = tokio::task::spawn_blocking(move || {
        let mut spool = spool.lock().unwrap_or_else(PoisonError::into_inner);
        let lost = spool.take_lost();
        pending.extend((lost > 0).then(|| (Timestamp::now(), Happening::Lost(Lost { count: lost }))));
        if pending.is_empty() {
            return pending;
        }
        match spool.append(&pending) {
            Ok(()) => Vec::new(),
            Err(error) => {
                tracing::warn!(%error, events = pending.len(), "events could not be kept yet");
                if pending.len() > PENDING {
                    let surplus = pending.len() - PENDING;
                    pending.drain(..surplus);
                    pending.push((Timestamp::now(), Happening::Lost(Lost { count: surplus as u64 })));
                }
                pending
            }
        }
    });
    kept.await.unwrap_or_default()
}

/// One batch. False when nothing waits.
async fn upload(device: &Device, verifier: &Verifier, spool: &Arc<Mutex<Spool>>) -> Result<bool, Error> {
    if spool.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
        return Ok(false);
    }
    let reader = spool.clone();
    let read = tokio::task::spawn_blocking(move || {
        let mut spool = reader.lock().unwrap_or_else(PoisonError::into_inner);
        let events = spool.waiting(BATCH);
        events.map(|events| EventUpload { spool: spool.id(), events })
    });
    let batch = match read.await {
        Ok(Ok(batch)) => batch,
        Ok(Err(error)) => {
            tracing::error!(%error, "kept events cannot be read");
            return Ok(false);
        }
        Err(_) => return Ok(false),
    };
    let Some(last) = batch.events.last().map(|event| event.number) else { return Ok(false) };
    let now = verifier.time(Timestamp::now().as_second());
    let reply: Result<EventReply, Error> = device.post("/api/toolboxes/events", now, &batch).await;
    let through = match reply {
        Ok(reply) => reply.through,
        // It will never take these.
        Err(error @ Error::Refused { status: 400 | 413 | 422, .. }) => {
            tracing::error!(%error, events = batch.events.len(), "events are given up");
            last
        }
        Err(error) => return Err(error),
    };
    let spool = spool.clone();
    let done = move || spool.lock().unwrap_or_else(PoisonError::into_inner).acknowledge(through.min(last));
    Ok(tokio::task::spawn_blocking(done).await.is_ok())
}
