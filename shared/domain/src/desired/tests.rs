use super::*;
use proptest::prelude::*;
use protocol::{ids::ServerId, server::ServerSpec};

fn server(name: &str) -> ServerSpec {
    ServerSpec {
        id: ServerId::new(),
        name: name.to_owned(),
        source: Source::Uvx { package: "mcp-server-time".to_owned(), version: None },
        args: Vec::new(),
        env: Default::default(),
        secrets: Vec::new(),
        hosts: Vec::new(),
        revision: 0,
    }
}

fn state(generation: u64, servers: &[ServerSpec]) -> DesiredState {
    DesiredState { generation, servers: servers.to_vec() }
}

#[test]
fn only_a_newer_state_changes_anything() {
    let (time, memory) = (server("time"), server("memory"));
    let current = state(5, &[time.clone(), memory.clone()]);
    assert_eq!(accept(None, &current), Ok(Accepted::Newer));
    assert_eq!(accept(Some(&current), &state(6, &[])), Ok(Accepted::Newer));
    assert_eq!(accept(Some(&current), &state(5, &[memory, time.clone()])), Ok(Accepted::Same));
    assert_eq!(accept(Some(&current), &state(5, &[time])), Err(Refusal::Other(5)));
    assert_eq!(accept(Some(&current), &state(4, &[])), Err(Refusal::Older { current: 5, next: 4 }));
    assert_eq!(accept(None, &state(0, &[])), Err(Refusal::Zero));
}

#[test]
fn a_state_that_contradicts_itself_is_refused() {
    let time = server("time");
    assert_eq!(accept(None, &state(1, &[time.clone(), server("time")])), Err(Refusal::Twice));
    assert_eq!(
        accept(None, &state(1, &[time.clone(), ServerSpec { name: "other".to_owned(), ..time }])),
        Err(Refusal::Twice)
    );
    for name in ["", "Time", "a_b", "../etc", "-a"] {
        assert_eq!(accept(None, &state(1, &[server(name)])), Err(Refusal::Name), "{name}");
    }
}

#[test]
fn names_are_made_from_sources() {
    let npx = |package: &str| name(&Source::Npx { package: package.to_owned(), version: None });
    let oci = |image: &str| name(&Source::Oci { image: image.to_owned() });
    assert_eq!(npx("@modelcontextprotocol/server-memory"), "memory");
    assert_eq!(npx("mcp-server-time"), "time");
    assert_eq!(oci("localhost:5000/team/weather:1.2"), "weather");
    assert_eq!(oci("mcp/github@sha256:0123"), "github");
    assert_eq!(name(&Source::Remote { url: "https://mcp.linear.app/sse".to_owned() }), "linear");
}

proptest! {
    #[test]
    fn every_source_has_a_valid_name(text in "\\PC{0,60}") {
        for source in [
            Source::Npx { package: text.clone(), version: None },
            Source::Oci { image: text.clone() },
            Source::Remote { url: text.clone() },
        ] {
            prop_assert!(is_server_name(&name(&source)), "{:?}", source);
        }
    }

    /// However messages are delayed and repeated, the generation that is held never goes down.
    #[test]
    fn the_generation_never_goes_down(generations in prop::collection::vec(0_u64..20, 1..40)) {
        let mut held: Option<DesiredState> = None;
        for generation in generations {
            let next = state(generation, &[]);
            let before = held.as_ref().map_or(0, |state| state.generation);
            if accept(held.as_ref(), &next) == Ok(Accepted::Newer) {
                held = Some(next);
            }
            prop_assert!(held.as_ref().map_or(0, |state| state.generation) >= before);
        }
    }
}
