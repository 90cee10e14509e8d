//! What a toolbox accepts and refuses. Every refusal stands beside the same attempt that succeeds.

use crate::common::*;
use capability::*;
use protocol::capability::RiskClass;
use serde_json::json;
use std::collections::BTreeMap;

#[test]
fn a_good_token_allows_what_it_lists() {
    let place = Place::new();
    let checked = place.verifier.verify(&place.token(), NOW).expect("good");
    assert_eq!(checked.agent(), place.bearer.agent);
    assert_eq!(checked.owner(), place.bearer.owner);
    assert_eq!(checked.expires_at(), NOW + MAX_LIFE);
    let line = checked.allows("time", "get", "d1", &json!({})).expect("granted");
    assert_eq!(line.class, RiskClass::Read);
    assert!(checked.knows_server("time") && !checked.knows_server("Time"));
}

#[test]
fn nothing_else_is_allowed_by_any_spelling() {
    let place = Place::new();
    let checked = place.verifier.verify(&place.token(), NOW).expect("good");
    for (server, tool) in [
        ("time", "set"),
        ("time", "GET"),
        ("time", "ge"),
        ("time", "get "),
        ("time", "get\0"),
        ("time", "gеt"),
        ("time", "%67et"),
        ("Time", "get"),
        ("tim", "eget"),
        ("", ""),
        ("files", "get"),
        ("time", "*"),
        ("*", "*"),
    ] {
        assert_eq!(checked.allows(server, tool, "d1", &json!({})).err(), Some(Refusal::NotGranted), "{server}.{tool}");
        assert!(!checked.shows(server, tool, "d1"));
    }
    assert!(checked.shows("time", "get", "d1"));
}

#[test]
fn a_changed_tool_is_refused() {
    let place = Place::new();
    let checked = place.verifier.verify(&place.token(), NOW).expect("good");
    for digest in ["d2", "D1", ""] {
        assert_eq!(checked.allows("time", "get", digest, &json!({})).err(), Some(Refusal::Changed));
        assert!(!checked.shows("time", "get", digest));
    }
}

#[test]
fn arguments_are_checked_by_any_of_the_lines() {
    let place = Place::new();
    let checked = place.verifier.verify(&place.token(), NOW).expect("good");
    let call = |path: &str| checked.allows("files", "write", "d3", &json!({ "path": path })).map(|line| line.class);
    assert_eq!(call("/data/a"), Ok(RiskClass::Write));
    assert_eq!(call("/tmp/a"), Ok(RiskClass::Destructive));
    assert_eq!(call("/etc/a"), Err(Refusal::Arguments));
}

#[test]
fn another_toolbox_or_owner_refuses_the_same_token() {
    let (place, other) = (Place::new(), Place::new());
    let token = place.token();
    assert!(place.verifier.verify(&token, NOW).is_ok());
    for (toolbox, owner) in [(other.bearer.toolbox, place.bearer.owner), (place.bearer.toolbox, other.bearer.owner)] {
        let verifier = Verifier::new(&place.keys(), toolbox, owner).expect("keys");
        assert_eq!(verifier.verify(&token, NOW).err(), Some(Refusal::Audience));
    }
}

#[test]
fn an_unknown_key_and_a_foreign_signature_are_refused() {
    let (place, other) = (Place::new(), Place::new());
    let claims = place.claims();
    let unknown = Minter::from_pkcs8("k2", &other.pkcs8).expect("key").mint(&claims).expect("minted");
    assert_eq!(place.verifier.verify(&unknown, NOW).err(), Some(Refusal::UnknownKey));
    let foreign = Minter::from_pkcs8("k1", &other.pkcs8).expect("key").mint(&claims).expect("minted");
    assert_eq!(place.verifier.verify(&foreign, NOW).err(), Some(Refusal::Signature));
}

#[test]
fn a_key_that_is_withdrawn_ends_its_cached_tokens() {
    let (place, other) = (Place::new(), Place::new());
    let token = place.token();
    assert!(place.verifier.verify(&token, NOW).is_ok());
    place.verifier.set_keys(&other.keys()).expect("keys");
    assert_eq!(place.verifier.verify(&token, NOW).err(), Some(Refusal::UnknownKey));
    place.verifier.set_keys(&place.keys()).expect("keys");
    assert!(place.verifier.verify(&token, NOW).is_ok());
    assert!(place.verifier.set_keys(&BTreeMap::from([("k1".into(), "short".into())])).is_err());
    assert_eq!(place.verifier.set_keys(&BTreeMap::new()), Err(KeyError::None));
    assert!(place.verifier.verify(&token, NOW).is_ok());
}

#[test]
fn time_is_exact_at_the_end_and_lenient_at_the_start() {
    let place = Place::new();
    let token = place.token();
    // It has not heard the time from the control plane, so that it believes the machine's.
    let verifier = Verifier::new(&place.keys(), place.bearer.toolbox, place.bearer.owner).expect("keys");
    for (now, outcome) in [
        (NOW - 31, Some(Refusal::NotYet)),
        (NOW - 30, None),
        (NOW + MAX_LIFE - 1, None),
        (NOW + MAX_LIFE, Some(Refusal::Expired)),
    ] {
        assert_eq!(verifier.verify(&token, now).err(), outcome, "{now}");
    }
}

#[test]
fn the_clock_never_runs_behind_the_control_plane() {
    let place = Place::new();
    let token = place.token();
    assert!(place.verifier.verify(&token, NOW).is_ok());
    place.verifier.observe(NOW + MAX_LIFE);
    assert_eq!(place.verifier.verify(&token, NOW).err(), Some(Refusal::Expired));
    place.verifier.observe(NOW);
    assert_eq!(place.verifier.verify(&token, NOW).err(), Some(Refusal::Expired));
    assert!(place.verifier.time(0) >= NOW + MAX_LIFE);
    assert_eq!(place.verifier.time(NOW + 2 * MAX_LIFE), NOW + 2 * MAX_LIFE);
}

#[test]
fn revocation_by_epoch_and_by_token() {
    let place = Place::new();
    let (token, claims) = (place.token(), place.claims());
    let listed = place.minter.mint(&claims).expect("minted");
    let checked = place.verifier.verify(&listed, NOW).expect("good");
    place.revoke(2, &[], &[&claims.jti]);
    assert_eq!(place.verifier.verify(&listed, NOW).err(), Some(Refusal::Revoked));
    assert_eq!(place.verifier.recheck(&checked, NOW), Err(Refusal::Revoked));
    assert!(place.verifier.verify(&token, NOW).is_ok());

    place.revoke(3, &[(place.bearer.agent, place.bearer.epoch)], &[]);
    assert!(place.verifier.verify(&token, NOW).is_ok());
    place.revoke(4, &[(place.bearer.agent, place.bearer.epoch + 1)], &[]);
    assert_eq!(place.verifier.verify(&token, NOW).err(), Some(Refusal::Revoked));
}

#[test]
fn an_older_list_changes_nothing() {
    let place = Place::new();
    let token = place.token();
    place.revoke(9, &[(place.bearer.agent, 99)], &[]);
    let older = Default::default();
    assert_eq!(place.verifier.set_revocations(&older, NOW), Err(OlderRevocations));
    assert_eq!(place.verifier.verify(&token, NOW).err(), Some(Refusal::Revoked));
}

#[test]
fn a_stale_list_leaves_reading_only() {
    let place = Place::new();
    let token = place.token();
    let data = json!({"path": "/data/a"});
    let write = |now| place.verifier.verify(&token, now).expect("good").allows("files", "write", "d3", &data).err();
    assert_eq!(write(NOW + 300), None);
    assert_eq!(write(NOW + 301), Some(Refusal::Stale));
    let stale = place.verifier.verify(&token, NOW + 301).expect("good");
    assert!(stale.allows("time", "get", "d1", &json!({})).is_ok());
    assert!(!stale.shows("files", "write", "d3") && stale.shows("time", "get", "d1"));
    place.verifier.set_revocations(&list(1, &[], &[]), NOW + 301).expect("the same list, fresh");
    assert_eq!(write(NOW + 301), None);
}

#[test]
fn without_any_list_only_reading_is_allowed() {
    let place = Place::new();
    let verifier = Verifier::new(&place.keys(), place.bearer.toolbox, place.bearer.owner).expect("keys");
    let checked = verifier.verify(&place.token(), NOW).expect("good");
    assert!(checked.allows("time", "get", "d1", &json!({})).is_ok());
    let call = checked.allows("files", "write", "d3", &json!({"path": "/data/a"}));
    assert_eq!(call.err(), Some(Refusal::Stale));
}

#[test]
fn size_is_looked_at_first_and_by_the_minter_too() {
    let place = Place::new();
    let huge = "a".repeat(MAX_TOKEN + 1);
    assert_eq!(place.verifier.verify(&huge, NOW).err(), Some(Refusal::TooLarge));
    assert_eq!(place.verifier.verify(&huge[1..], NOW).err(), Some(Refusal::Malformed));
    let many = (0..1000).map(|n| grant("time", &format!("tool{n}"), "d", None, RiskClass::Read)).collect();
    let claims = place.bearer.claims(many, NOW, None).expect("claims");
    assert!(matches!(place.minter.mint(&claims), Err(MintError::TooLarge(_))));
}

#[test]
fn a_capability_ends_with_its_grant_and_within_its_life() {
    let place = Place::new();
    let until = |until| place.bearer.claims(vec![], NOW, until).map(|claims| claims.exp - NOW);
    assert_eq!(until(Some(NOW + 60)).expect("claims"), 60);
    assert_eq!(until(Some(NOW + 9999)).expect("claims"), MAX_LIFE);
    assert!(matches!(until(Some(NOW)), Err(MintError::Life)));
    let mut long = place.claims();
    long.exp += 1;
    assert!(matches!(place.minter.mint(&long), Err(MintError::Life)));
    let mut foreign = place.claims();
    foreign.iss = "elsewhere".into();
    assert!(matches!(place.minter.mint(&foreign), Err(MintError::Foreign)));
}

#[test]
fn a_token_makes_only_so_many_calls() {
    let place = Place::new();
    let mut claims = place.claims();
    assert_eq!(claims.calls, Some(mint::CALLS));
    let token = |calls| {
        claims.calls = calls;
        place.minter.mint(&claims).expect("minted")
    };
    let (three, any) = [Some(3), None].map(token).into();
    for _ in 0..3 {
        // Counted by the token, however often it is shown.
        let checked = place.verifier.verify(&three, NOW).expect("good");
        // What is refused for another reason counts for nothing.
        assert!(checked.allows("time", "set", "d1", &json!({})).is_err());
        assert!(checked.allows("time", "get", "d1", &json!({})).is_ok());
    }
    let checked = place.verifier.verify(&three, NOW).expect("good");
    assert_eq!(checked.allows("time", "get", "d1", &json!({})).err(), Some(Refusal::Exhausted));
    // Nor by showing so many others in between that it was forgotten.
    for _ in 0..600 {
        place.verifier.verify(&place.token(), NOW).expect("good");
    }
    let checked = place.verifier.verify(&three, NOW).expect("good");
    assert_eq!(checked.allows("time", "get", "d1", &json!({})).err(), Some(Refusal::Exhausted));
    let checked = place.verifier.verify(&any, NOW).expect("good");
    assert!((0..1000).all(|_| checked.allows("time", "get", "d1", &json!({})).is_ok()));
}

#[test]
fn a_refusal_names_nothing() {
    let place = Place::new();
    let checked = place.verifier.verify(&place.token(), NOW).expect("good");
    let refusal = checked.allows("files", "write", "d3", &json!({"path": "/etc/a"})).expect_err("outside");
    for name in ["files", "write", "/etc", &place.bearer.owner.to_string()] {
        assert!(!refusal.to_string().contains(name));
    }
    assert!(!refusal.is_of_token() && Refusal::Expired.is_of_token());
}

#[test]
fn more_tokens_than_the_cache_holds_all_work() {
    let place = Place::new();
    let tokens: Vec<_> = (0..300).map(|_| place.minter.mint(&place.claims()).expect("minted")).collect();
    for _ in 0..2 {
        assert!(tokens.iter().all(|token| place.verifier.verify(token, NOW).is_ok()));
    }
}
