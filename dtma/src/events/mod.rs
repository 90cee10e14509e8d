//! What has happened, on its way to the control plane: gathered where it happens, kept in a spool, uploaded until it is
//! acknowledged. Nobody who reports an event waits for any of this.

mod calls;
mod gather;
mod upload;

pub use gather::Sources;
pub use upload::Uploader;

use crate::egress::refusal;
use protocol::{
    Timestamp,
    event::{Happening, Refusal},
};
use std::sync::{Arc, Mutex, PoisonError};

/// An event and when it was, by this machine's clock.
type Dated = (Timestamp, Happening);

/// Refusals that wait to be gathered, at most.
const KEPT: usize = 1_000;

/// Where ways out report what they refused. Cheap to clone.
#[derive(Clone, Default)]
pub struct Refusals(Arc<Mutex<Waiting>>);

#[derive(Default)]
struct Waiting {
    kept: Vec<Dated>,
    lost: u64,
}

impl Refusals {
    /// Says it in the log as well.
    pub fn sink(&self) -> refusal::Sink {
        let (trace, refusals) = (refusal::trace(), self.clone());
        Arc::new(move |refused| {
            refusals.put(&refused);
            trace(refused);
        })
    }

    fn put(&self, refused: &refusal::Refusal) {
        let refusal::Refusal { server, host, port, why } = refused;
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.kept.len() == KEPT {
            waiting.lost += 1;
            return;
        }
        let what = Refusal { server_id: *server, host: host.clone(), port: *port, why: why.to_string() };
        waiting.kept.push((Timestamp::now(), Happening::Refusal(what)));
    }

    fn take(&self) -> (Vec<Dated>, u64) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut waiting.kept), std::mem::take(&mut waiting.lost))
    }
}
