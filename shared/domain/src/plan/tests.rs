use super::{follow::*, *};
use serde_json::json;

fn server(name: &str, meta: serde_json::Value) -> ServerJson {
    let package = name.rsplit('/').next().unwrap();
    serde_json::from_value(
        json!({"name": name, "title": "T\u{202e}itle", "description": "d", "version": "1.0.0", "_meta": meta,
        "packages": [{"registryType": "npm", "identifier": package, "transport": {"type": "stdio"}}]}),
    )
    .unwrap()
}

fn candidate(name: &str, confidence: f32) -> Candidate {
    Candidate { server: server(name, json!({})), confidence, known: 0.0, why: format!("says {name}") }
}

fn remote(name: &str, confidence: f32, headers: serde_json::Value) -> Candidate {
    let mut candidate = candidate(name, confidence);
    candidate.server.packages.clear();
    let remote = json!({"type": "streamable-http", "url": "https://x.y/mcp", "headers": headers});
    candidate.server.remotes = vec![serde_json::from_value(remote).unwrap()];
    candidate
}

fn bearer() -> serde_json::Value {
    json!([{"name": "Authorization", "value": "Bearer {KEY}", "variables": {"KEY": {"isRequired": true, "isSecret": true}}}])
}

fn need(need: &str, candidates: Vec<Candidate>) -> Need {
    Need { need: need.to_owned(), candidates }
}

fn names(planned: &Planned) -> Vec<Option<&str>> {
    planned.plan.capabilities.iter().map(|c| c.chosen.as_ref().map(|chosen| chosen.name.as_str())).collect()
}

fn make(needs: &[Need]) -> Planned {
    plan("do it", needs, &Rules::default(), &BTreeMap::new())
}

#[test]
fn the_best_is_chosen_and_named_short() {
    let planned = make(&[need("time", vec![candidate("a/time-mcp-server", 0.9), candidate("b/time", 0.8)])]);
    let chosen = planned.plan.capabilities[0].chosen.as_ref().unwrap();
    assert_eq!((chosen.server.as_str(), chosen.title.as_str()), ("time", "Title"));
    assert_eq!(planned.plan.capabilities[0].alternatives[0].name, "b/time");
    assert!(planned.chosen.contains_key("a/time-mcp-server"));
}

#[test]
fn below_the_threshold_nothing_is_chosen() {
    let planned =
        make(&[need("fold proteins", vec![candidate("a/x", crate::rank::ANSWERED - 0.01)]), need("nothing", vec![])]);
    assert_eq!(names(&planned), [None, None]);
    assert!(planned.plan.capabilities[0].reason.contains("well enough"));
    assert!(planned.plan.capabilities[1].reason.contains("Nothing in the catalog does this"));
    assert!(planned.chosen.is_empty() && planned.plan.capabilities[0].alternatives.is_empty());
    // The same server, sure enough, is chosen.
    assert_eq!(
        names(&make(&[need("fold proteins", vec![candidate("a/x", crate::rank::ANSWERED + 0.01)])])),
        [Some("a/x")]
    );
}

#[test]
fn unverified_deprecated_and_what_does_not_say_how_to_sign_in_are_not_chosen() {
    let mut deprecated = candidate("a/old", 0.95);
    deprecated.server = server("a/old", json!({"io.agentopia/status": "deprecated"}));
    let mut unverified = candidate("a/fake", 0.94);
    unverified.server = server("a/fake", json!({"io.agentopia/unverified": true}));
    let silent = remote("a/remote", 0.93, json!([]));
    let planned =
        make(&[need("x", vec![deprecated.clone(), unverified.clone(), silent.clone(), candidate("a/good", 0.7)])]);
    assert_eq!(names(&planned), [Some("a/good")]);
    let alternatives: Vec<_> = planned.plan.capabilities[0].alternatives.iter().map(|a| a.name.as_str()).collect();
    assert_eq!(alternatives, ["a/remote"]);

    let alone = |candidate: &Candidate| make(&[need("x", vec![candidate.clone()])]);
    assert_eq!(names(&alone(&deprecated)), [None]);
    assert!(alone(&deprecated).plan.capabilities[0].reason.contains("gave it up"));
    assert!(alone(&silent).plan.capabilities[0].reason.contains("does not say how one signs in"));
    // What everybody knows comes before what nobody does, and the reason says how it stands.
    let famous = Candidate { known: WELL_KNOWN, ..deprecated.clone() };
    let planned = make(&[need("x", vec![famous, candidate("a/good", 0.9)])]);
    assert_eq!(names(&planned), [Some("a/old")]);
    assert!(planned.plan.capabilities[0].reason.contains("maintains it no longer"));

    // Whoever asks for one by name may try it, unless it is not what it says it is.
    let rules = Rules { asked: true, ..Rules::default() };
    let asked = |candidate: &Candidate| {
        let needs = [need("x", vec![Candidate { confidence: 0.0, ..candidate.clone() }])];
        names(&plan("x", &needs, &rules, &BTreeMap::new()))[0].map(str::to_owned)
    };
    assert_eq!(asked(&silent).as_deref(), Some("a/remote"));
    assert_eq!((asked(&deprecated), asked(&unverified)), (None, None));
}

#[test]
fn a_service_that_says_its_key_is_chosen_and_one_that_runs_at_home_is_preferred() {
    let service = remote("a/service", 0.9, bearer());
    let planned = make(&[need("x", vec![service.clone()])]);
    let chosen = planned.plan.capabilities[0].chosen.as_ref().unwrap();
    assert_eq!(chosen.address(), Some("https://x.y/mcp"));
    assert_eq!(names(&make(&[need("x", vec![service.clone(), candidate("a/home", 0.87)])])), [Some("a/home")]);
    assert_eq!(names(&make(&[need("x", vec![service, candidate("a/home", 0.6)])])), [Some("a/service")]);
}

#[test]
fn one_server_serves_two_needs_when_it_is_nearly_the_best_for_both() {
    let needs = |second: f32| {
        [
            need("jira", vec![candidate("a/jira", 0.9), candidate("a/atlassian", 0.88)]),
            need("confluence", vec![candidate("a/confluence", 0.9), candidate("a/atlassian", second)]),
        ]
    };
    assert_eq!(names(&make(&needs(0.89))), [Some("a/atlassian"), Some("a/atlassian")]);
    assert_eq!(names(&make(&needs(0.5))), [Some("a/jira"), Some("a/confluence")]);
    assert_eq!(make(&needs(0.89)).chosen.len(), 1);
}

#[test]
fn two_servers_of_one_name_get_two_and_one_that_is_there_keeps_its_own() {
    let needs = [need("a", vec![candidate("a/time", 0.9)]), need("b", vec![candidate("b/time-mcp", 0.9)])];
    let servers = |rules: &Rules| -> Vec<String> {
        let planned = plan("x", &needs, rules, &BTreeMap::new());
        planned.plan.capabilities.into_iter().map(|c| c.chosen.unwrap().server).collect()
    };
    assert_eq!(servers(&Rules::default()), ["time", "time-2"]);
    let rules = Rules {
        present: BTreeMap::from([("b/time-mcp".to_owned(), "clock".to_owned())]),
        taken: BTreeSet::from(["clock".to_owned(), "time".to_owned()]),
        ..Rules::default()
    };
    assert_eq!(servers(&rules), ["time-2", "clock"]);
}

#[test]
fn a_pick_counts_only_when_it_is_a_fitting_candidate() {
    let needs = [need("x", vec![candidate("a/one", 0.9), candidate("a/two", 0.6), candidate("a/bad", 0.1)])];
    let picked = |name: &str| {
        let planned = plan("x", &needs, &Rules::default(), &BTreeMap::from([(0, name.to_owned())]));
        names(&planned)[0].map(str::to_owned)
    };
    assert_eq!(picked("a/two").as_deref(), Some("a/two"));
    assert_eq!(picked("evil/made-up").as_deref(), Some("a/one"));
    assert_eq!(picked("a/bad").as_deref(), Some("a/one"));
}

#[test]
fn follow_ups_are_read_by_rules() {
    let planned = make(&[need("x", vec![candidate("a/github", 0.9)])]).plan;
    let read = |message: &str| follow(message, &planned);
    assert_eq!(read("Yes!"), Follow::Yes);
    assert_eq!(read("go ahead"), Follow::Yes);
    assert_eq!(read("cancel."), Follow::Cancel);
    assert_eq!(
        read("use gitlab instead of github"),
        Follow::Use { wanted: "gitlab".into(), instead_of: Some("github".into()) }
    );
    assert_eq!(
        read("replace github with a/gitlab"),
        Follow::Use { wanted: "a/gitlab".into(), instead_of: Some("github".into()) }
    );
    assert_eq!(read("use gitlab instead"), Follow::Use { wanted: "gitlab".into(), instead_of: None });
    assert_eq!(read("The server also needs GITHUB_HOST."), Follow::Add { server: None, key: "GITHUB_HOST".into() });
    assert_eq!(
        read("github needs GITHUB_HOST too"),
        Follow::Add { server: Some("github".into()), key: "GITHUB_HOST".into() }
    );
    assert_eq!(read("go on without GITHUB_TOKEN"), Follow::Without { key: "GITHUB_TOKEN".into() });
    assert_eq!(read("Use Slack to tell me the news every morning"), Follow::New);
    assert_eq!(read("Create an issue in Linear"), Follow::New);
}

#[test]
fn of_nearly_equal_servers_the_one_that_more_speaks_for_is_chosen() {
    let with = |name: &str, confidence: f32, known: f32, package: serde_json::Value| {
        let mut candidate = Candidate { known, ..candidate(name, confidence) };
        let mut kind = json!({"registryType": "npm", "identifier": "x"});
        kind.as_object_mut().unwrap().extend(package.as_object().unwrap().clone());
        candidate.server.packages = vec![serde_json::from_value(kind).unwrap()];
        candidate
    };
    let key = json!({"environmentVariables": [{"name": "API_KEY", "isRequired": true, "isSecret": true}]});
    let setting = json!({"environmentVariables": [{"name": "FILE_PATH", "isRequired": true}]});
    let image = json!({"registryType": "oci", "identifier": "a/x"});
    let first =
        |better: Candidate, best: Candidate| names(&make(&[need("x", vec![best, better])]))[0].map(str::to_owned);
    let none = || json!({});
    // Well known; says its keys; no image; nothing to look up.
    assert_eq!(first(with("a/b", 0.9, 0.9, none()), with("a/a", 0.99, 0.0, none())).as_deref(), Some("a/b"));
    assert_eq!(first(with("a/b", 0.9, 0.5, key.clone()), with("a/a", 0.99, 0.0, none())).as_deref(), Some("a/b"));
    assert_eq!(first(with("a/b", 0.9, 0.5, none()), with("a/a", 0.99, 0.5, image)).as_deref(), Some("a/b"));
    assert_eq!(first(with("a/b", 0.9, 1.0, none()), with("a/a", 0.99, 0.6, setting)).as_deref(), Some("a/b"));
    // Not in the place of what fits clearly better.
    assert_eq!(first(with("a/b", 0.8, 1.0, key), with("a/a", 0.99, 0.0, none())).as_deref(), Some("a/a"));
}
