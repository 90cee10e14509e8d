//! What a server was not allowed to reach, told to whoever wants to know; the same thing not more than once a minute.

use protocol::ids::ServerId;
use serde::Serialize;
use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

const AGAIN: Duration = Duration::from_secs(60);
/// Things that are remembered for a server. One that asks for more names than that in a minute is not reported of further.
const REMEMBERED: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// The name is not among the server's hosts.
    Name,
    /// The name is, with another port.
    Port,
    /// The name leads to no public address: this machine, its networks, a metadata service.
    Address,
    /// It connected to an address that was handed out for no name, or for one that is forgotten.
    Nameless,
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the host is not among those that this server may reach",
            Self::Port => "this port of the host is not among those that this server may reach",
            Self::Address => "the host has no public address",
            Self::Nameless => "it connected to an address without asking for a name",
        })
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Refusal {
    pub server: ServerId,
    /// A name, or for [`Why::Nameless`] an address.
    pub host: String,
    /// Absent when only the name was asked for.
    pub port: Option<u16>,
    pub why: Why,
}

pub type Sink = Arc<dyn Fn(Refusal) + Send + Sync>;

/// Says it in the log.
pub fn trace() -> Sink {
    Arc::new(|Refusal { server, host, port, why }| {
        tracing::warn!(%server, %host, port, %why, "a server was not let out");
    })
}

/// One server's refusals on their way to the sink.
pub(super) struct Reporter {
    sink: Sink,
    told: Mutex<HashMap<Refusal, Instant>>,
}

impl Reporter {
    pub(super) fn new(sink: Sink) -> Self {
        Self { sink, told: Mutex::default() }
    }

    pub(super) fn tell(&self, refusal: Refusal, now: Instant) {
        if self.is_news(&refusal, now) {
            (self.sink)(refusal);
        }
    }

    fn is_news(&self, refusal: &Refusal, now: Instant) -> bool {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        let old = |at: &Instant| now.saturating_duration_since(*at) >= AGAIN;
        if told.get(refusal).is_some_and(|at| !old(at)) {
            return false;
        }
        if told.len() >= REMEMBERED {
            told.retain(|_, at| !old(at));
        }
        let room = told.len() < REMEMBERED;
        if room {
            told.insert(refusal.clone(), now);
        }
        room
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_refusal_is_told_once_a_minute_and_memory_is_bounded() {
        let told = Arc::new(Mutex::new(0));
        let count = told.clone();
        let reporter = Reporter::new(Arc::new(move |_| *count.lock().unwrap() += 1));
        let (server, now) = (ServerId::new(), Instant::now());
        let refusal = |n: usize| Refusal { server, host: format!("h{n}"), port: Some(443), why: Why::Name };
        for _ in 0..5 {
            reporter.tell(refusal(0), now);
        }
        assert_eq!(*told.lock().unwrap(), 1);
        reporter.tell(Refusal { port: Some(80), ..refusal(0) }, now);
        assert_eq!(*told.lock().unwrap(), 2);
        for n in 0..10_000 {
            reporter.tell(refusal(n), now);
        }
        assert_eq!((*told.lock().unwrap(), reporter.told.lock().unwrap().len()), (REMEMBERED, REMEMBERED));
        reporter.tell(refusal(0), now + AGAIN);
        assert_eq!((*told.lock().unwrap(), reporter.told.lock().unwrap().len()), (REMEMBERED + 1, 1));
    }
}
