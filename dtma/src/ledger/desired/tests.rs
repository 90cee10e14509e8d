use super::*;
use protocol::{ids::ServerId, server::Source};

fn server(name: &str) -> ServerSpec {
    ServerSpec {
        id: ServerId::new(),
        name: name.into(),
        source: Source::Oci { image: "x".into() },
        args: vec![],
        env: Default::default(),
        secrets: vec![],
        hosts: vec![],
        revision: 0,
    }
}

fn state(generation: u64, servers: Vec<ServerSpec>) -> DesiredState {
    DesiredState { generation, servers }
}

#[test]
fn only_a_newer_generation_is_taken() {
    let held = state(5, vec![server("a")]);
    assert!(matches!(Desired::judge(None, held.clone()), Ok(Desired::Take(_))));
    assert!(matches!(Desired::judge(Some(&held), state(6, vec![])), Ok(Desired::Take(_))));
    assert_eq!(Desired::judge(Some(&held), held.clone()), Ok(Desired::Same));
    assert_eq!(Desired::judge(Some(&held), state(4, vec![])), Err(Refused::Older { offered: 4, held: 5 }));
    assert_eq!(Desired::judge(Some(&held), state(5, vec![])), Err(Refused::Changed(5)));
}

#[test]
fn a_state_that_contradicts_itself_is_refused() {
    let twin = server("a");
    assert_eq!(Desired::judge(None, state(1, vec![server("a"), server("a")])), Err(Refused::Name("a".into())));
    let mut other = twin.clone();
    other.name = "b".into();
    assert_eq!(Desired::judge(None, state(1, vec![twin, other])), Err(Refused::Id));
    for bad in ["", "A", "a_b", "a/b", "../x", "é"] {
        assert!(matches!(Desired::judge(None, state(1, vec![server(bad)])), Err(Refused::BadName(_))), "{bad}");
    }
}
