//! Which capabilities are no longer good although they have not expired.

#[cfg(test)]
mod tests;

use protocol::{capability::RiskClass, ids::AgentId, toolbox::Revocations};

/// Seconds after which a list says too little to go on as before.
pub const STALE_AFTER: i64 = 5 * 60;

/// Takes `next` into account. A list with a lower sequence is an old message and changes nothing. Within one sequence, and
/// from one to the next, an epoch never goes down, and one that is named no longer stays: the control plane leaves an
/// agent out when every capability of earlier epochs has expired, which is no reason to forget it.
pub fn merge(held: &mut Revocations, next: &Revocations) {
    if next.sequence < held.sequence {
        return;
    }
    held.sequence = next.sequence;
    for (agent, epoch) in &next.epochs {
        let lowest = held.epochs.entry(*agent).or_insert(*epoch);
        *lowest = (*lowest).max(*epoch);
    }
    held.revoked = next.revoked.clone();
}

/// True when a capability of this agent, epoch and id was taken back.
pub fn is_revoked(list: &Revocations, agent: AgentId, epoch: u64, jti: &str) -> bool {
    list.epochs.get(&agent).is_some_and(|lowest| epoch < *lowest) || list.revoked.iter().any(|revoked| revoked == jti)
}

/// What may still be called: everything while the list is fresh; reads only once nobody has confirmed it for five
/// minutes, since a revocation may be waiting.
pub fn permits(class: RiskClass, now: i64, confirmed_at: i64) -> bool {
    class == RiskClass::Read || now.saturating_sub(confirmed_at) <= STALE_AFTER
}
