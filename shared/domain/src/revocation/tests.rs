use super::*;
use proptest::prelude::*;

fn list(sequence: u64, epochs: &[(AgentId, u64)]) -> Revocations {
    Revocations { sequence, epochs: epochs.iter().copied().collect(), revoked: Vec::new() }
}

#[test]
fn an_earlier_epoch_is_revoked_and_the_present_one_is_not() {
    let (agent, other) = (AgentId::new(), AgentId::new());
    let held = list(1, &[(agent, 3)]);
    assert!(is_revoked(&held, agent, 2, "a"));
    assert!(!is_revoked(&held, agent, 3, "a"));
    assert!(!is_revoked(&held, other, 0, "a"));
}

#[test]
fn a_single_capability_can_be_revoked() {
    let held = Revocations { sequence: 1, epochs: Default::default(), revoked: vec!["a".to_owned()] };
    assert!(is_revoked(&held, AgentId::new(), 9, "a"));
    assert!(!is_revoked(&held, AgentId::new(), 9, "b"));
}

#[test]
fn an_old_list_gives_nothing_back() {
    let agent = AgentId::new();
    let mut held = list(7, &[(agent, 2)]);
    merge(&mut held, &list(6, &[]));
    assert_eq!(held, list(7, &[(agent, 2)]));
    merge(&mut held, &list(8, &[(agent, 4)]));
    assert_eq!(held, list(8, &[(agent, 4)]));
}

#[test]
fn a_stale_list_leaves_reads_only() {
    assert!(permits(RiskClass::Exec, 1_000, 1_000 - STALE_AFTER));
    assert!(!permits(RiskClass::Write, 1_001, 1_000 - STALE_AFTER));
    assert!(permits(RiskClass::Read, i64::MAX, 0));
}

proptest! {
    /// What was revoked once stays revoked, in whatever order lists arrive.
    #[test]
    fn merging_never_gives_an_epoch_back(lists in prop::collection::vec((0_u64..9, prop::collection::vec((0_usize..3, 0_u64..9), 0..4)), 1..20)) {
        let agents = [AgentId::new(), AgentId::new(), AgentId::new()];
        let mut held = Revocations::default();
        for (sequence, epochs) in lists {
            let before = held.clone();
            let epochs: Vec<_> = epochs.into_iter().map(|(agent, epoch)| (agents[agent], epoch)).collect();
            merge(&mut held, &list(sequence, &epochs));
            prop_assert!(held.sequence >= before.sequence);
            for agent in agents {
                for epoch in 0..9 {
                    prop_assert!(!is_revoked(&before, agent, epoch, "") || is_revoked(&held, agent, epoch, ""));
                }
            }
        }
    }
}
