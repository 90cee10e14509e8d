use super::*;
use crate::launch;
use proptest::prelude::*;
use protocol::{ids::ServerId, server::ServerSpec};
use std::collections::BTreeMap;

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

fn fits(source: &Source, args: &[&str], variables: &[&str], hosts: &[&str]) -> Result<Source, Unfit> {
    let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
    let env = variables.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect();
    fit(source, &owned(args), &env, &[], &owned(hosts))
}

#[test]
fn a_server_that_can_run_is_let_through() {
    let npx = |version: Option<&str>| Source::Npx { package: "@a/b".to_owned(), version: version.map(str::to_owned) };
    assert_eq!(fits(&npx(Some("latest")), &["--dir", "a b; c"], &["LEVEL"], &["api.example.com:443"]), Ok(npx(None)));
    assert_eq!(fits(&npx(Some("1.2.3")), &[], &[], &["*"]), Ok(npx(Some("1.2.3"))));
    let remote = Source::Remote { url: "https://mcp.linear.app/sse".to_owned() };
    assert_eq!(fits(&remote, &[], &[], &[]), Ok(remote.clone()));
}

#[test]
fn a_server_that_would_shape_its_own_start_is_not() {
    let npx = |package: &str| Source::Npx { package: package.to_owned(), version: None };
    for package in ["", "--yes", "a b", "git+https://example.com/a.git", "../a", "a@1"] {
        assert_eq!(fits(&npx(package), &[], &[], &[]), Err(Unfit::Source(launch::Refusal::Identifier)), "{package}");
    }
    assert_eq!(fits(&npx("a"), &[], &["LD_PRELOAD"], &[]), Err(Unfit::Source(launch::Refusal::Variable)));
    assert_eq!(fits(&npx("a"), &["a\0b"], &[], &[]), Err(Unfit::Arguments));
    for host in ["example.com", "example.com:0", "example.com:99999", "a b:443", "http://a:1/"] {
        assert_eq!(fits(&npx("a"), &[], &[], &[host]), Err(Unfit::Hosts), "{host}");
    }
    for url in ["http://a.example", "https://", "https://user@a.example/", "file:///etc/passwd", "https://{HOST}/mcp"] {
        assert_eq!(fits(&Source::Remote { url: url.to_owned() }, &[], &[], &[]), Err(Unfit::Address), "{url}");
    }
}

#[test]
fn of_a_remote_server_only_the_address_and_the_headers_are_ours_to_say() {
    let remote = Source::Remote { url: "https://a.example/{KEY}/mcp?tenant=1".to_owned() };
    assert_eq!(fits(&remote, &[], &["Authorization", "X-Api-Key"], &[]), Ok(remote.clone()));
    assert_eq!(fits(&remote, &["--port=1"], &[], &[]), Err(Unfit::Elsewhere));
    assert_eq!(fits(&remote, &[], &[], &["a.example:443"]), Err(Unfit::Elsewhere));
    for header in
        ["Host", "content-length", "Mcp-Session-Id", "MCP-Protocol-Version", "Accept", "a b", "", "a:b", "a\nb"]
    {
        assert_eq!(fits(&remote, &[], &[header], &[]), Err(Unfit::Header(header.to_owned())), "{header}");
    }
    let split = BTreeMap::from([("X-A".to_owned(), "a\r\nHost: b".to_owned())]);
    assert_eq!(fit(&remote, &[], &split, &[], &[]), Err(Unfit::Header("X-A".to_owned())));
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
