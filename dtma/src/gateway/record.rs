//! Who called what, and what became of it. No result is kept, and of the arguments only their digest unless the toolbox's
//! owner wants them.

use super::flags::Flags;
use protocol::ids::{AgentId, RunId};
use serde::{Serialize, Serializer};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::Notify;

/// Records that are kept until somebody takes them.
const KEPT: usize = 10_000;
const HALF: usize = KEPT / 2;

/// What became of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The server answered with a result.
    Answered,
    /// The server answered with a JSON-RPC error.
    Failed,
    /// The capability does not allow it.
    Refused,
    /// The client gave up, or the session ended.
    Cancelled,
    /// No answer in time.
    TimedOut,
    /// The capability ended while the call was under way.
    Expired,
    /// The capability was revoked while the call was under way.
    Revoked,
    /// The server is not running, or its answer could not be used.
    Unavailable,
}

impl Outcome {
    pub const ALL: [Self; 8] = [
        Self::Answered,
        Self::Failed,
        Self::Refused,
        Self::Cancelled,
        Self::TimedOut,
        Self::Expired,
        Self::Revoked,
        Self::Unavailable,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Failed => "failed",
            Self::Refused => "refused",
            Self::Cancelled => "cancelled",
            Self::TimedOut => "timed_out",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Unavailable => "unavailable",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct Access {
    /// Milliseconds since the epoch.
    pub at: i64,
    pub agent: AgentId,
    pub run: Option<RunId>,
    /// As the call named them; for a refused call they may name nothing that exists.
    #[serde(serialize_with = "text")]
    pub server: Arc<str>,
    #[serde(serialize_with = "text")]
    pub tool: Arc<str>,
    /// SHA-256 of the arguments' JSON text as the client wrote it.
    #[serde(serialize_with = "hex")]
    pub arguments: [u8; 32],
    /// The text itself without known secrets, its first 4 KiB, where `Settings::record_arguments` says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Box<str>>,
    pub outcome: Outcome,
    pub micros: u64,
    /// The trace that the call belongs to, as its client says (W3C trace context).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<TraceId>,
    /// Signs that the answer is not what it seems.
    #[serde(serialize_with = "names")]
    pub flags: Flags,
}

/// Sixteen bytes, shown as lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(u128);

impl TraceId {
    /// From a `traceparent`'s JSON text.
    pub(super) fn read(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix('"')?.strip_suffix('"')?.split('-');
        let (version, id, span) = (parts.next()?, parts.next()?, parts.next()?);
        let plain = |part: &str, length| part.len() == length && part.bytes().all(|b| b.is_ascii_hexdigit());
        let good = plain(version, 2) && plain(id, 32) && plain(span, 16) && version != "ff";
        let id = u128::from_str_radix(id, 16).ok().filter(|id| good && *id != 0)?;
        Some(Self(id))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for TraceId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

fn text<S: Serializer>(text: &Arc<str>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(text)
}

fn names<S: Serializer>(flags: &Flags, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(flags.names())
}

fn hex<S: Serializer>(digest: &[u8; 32], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&digest.iter().map(|b| format!("{b:02x}")).collect::<String>())
}

/// A bounded queue: the newest `KEPT`, and a count of what was lost.
#[derive(Clone, Default)]
pub struct Records {
    ring: Arc<Mutex<Ring>>,
    filling: Arc<Notify>,
}

#[derive(Default)]
struct Ring {
    kept: VecDeque<Access>,
    lost: u64,
}

impl Records {
    pub(super) fn push(&self, access: Access) {
        tracing::debug!(
            target: "access",
            agent = %access.agent, server = %access.server, tool = %access.tool,
            outcome = access.outcome.as_str(), micros = access.micros, trace = ?access.trace,
        );
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        match ring.kept.len() {
            KEPT => {
                ring.kept.pop_front();
                ring.lost += 1;
            }
            HALF => self.filling.notify_one(),
            _ => {}
        }
        ring.kept.push_back(access);
    }

    /// Returns when so many are kept that they should be taken.
    pub async fn filling(&self) {
        self.filling.notified().await;
    }

    /// The oldest records, to be uploaded, and how many were lost before them.
    pub fn take(&self, most: usize) -> (Vec<Access>, u64) {
        let mut ring = self.ring.lock().unwrap_or_else(PoisonError::into_inner);
        let count = most.min(ring.kept.len());
        (ring.kept.drain(..count).collect(), std::mem::take(&mut ring.lost))
    }
}
