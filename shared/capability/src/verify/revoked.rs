use protocol::{capability::Claims, ids::AgentId, toolbox::Revocations};
use std::collections::{BTreeMap, HashSet};

/// Seconds after which a list no longer speaks for what it does not name.
const STALE_AFTER: i64 = 300;

/// The list is older than the one that is held, which stays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the list of revocations is older than the one in force")]
pub struct OlderRevocations;

pub(super) struct Revoked {
    sequence: u64,
    epochs: BTreeMap<AgentId, u64>,
    tokens: HashSet<String>,
    at: i64,
}

impl Revoked {
    pub(super) fn after(held: Option<&Self>, list: &Revocations, at: i64) -> Result<Self, OlderRevocations> {
        if held.is_some_and(|held| list.sequence < held.sequence) {
            return Err(OlderRevocations);
        }
        Ok(Self {
            sequence: list.sequence,
            epochs: list.epochs.clone(),
            tokens: list.revoked.iter().cloned().collect(),
            at: held.map_or(at, |held| held.at.max(at)),
        })
    }

    pub(super) fn contains(&self, claims: &Claims, agent: AgentId) -> bool {
        self.epochs.get(&agent).is_some_and(|least| claims.ep < *least) || self.tokens.contains(&claims.jti)
    }

    pub(super) fn is_stale(&self, now: i64) -> bool {
        now - self.at > STALE_AFTER
    }
}
