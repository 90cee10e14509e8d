use super::*;
use crate::launch::launch;
use proptest::prelude::*;
use serde_json::json;

fn entry(extra: Value) -> ServerJson {
    let mut entry = json!({
        "name": "io.x/linear", "description": "d", "version": "1.0.0", "title": "Linear",
        "packages": [{"registryType": "npm", "identifier": "linear-mcp-server", "version": "1.0.0",
            "transport": {"type": "stdio"},
            "environmentVariables": [
                {"name": "LINEAR_API_KEY", "isRequired": true, "isSecret": true, "description": "API key"},
                {"name": "LINEAR_TEAM", "isRequired": true},
                {"name": "LINEAR_URL", "isRequired": true, "default": "https://linear.app"},
                {"name": "DEBUG"}]}],
    });
    entry.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    serde_json::from_value(entry).unwrap()
}

fn keys(missing: &[RequiredCredential]) -> Vec<&str> {
    missing.iter().map(|m| m.credential_key.as_str()).collect()
}

#[test]
fn required_inputs_without_a_default_are_missing_until_stored() {
    let server = entry(json!({}));
    let launch = launch(&server).unwrap();
    let none = BTreeSet::new();
    assert_eq!(keys(&missing(&server, "linear", &launch, &none)), ["LINEAR_API_KEY", "LINEAR_TEAM"]);
    let some = BTreeSet::from(["LINEAR_API_KEY".to_owned()]);
    assert_eq!(keys(&missing(&server, "linear", &launch, &some)), ["LINEAR_TEAM"]);
    let all = BTreeSet::from(["LINEAR_API_KEY".to_owned(), "LINEAR_TEAM".to_owned()]);
    assert!(missing(&server, "linear", &launch, &all).is_empty());
}

#[test]
fn instructions_come_from_the_entry_else_from_its_page() {
    let by_key = entry(
        json!({"_meta": {"io.agentopia/instructions": {"LINEAR_API_KEY": ["Open settings", "Make a\u{202e} key"]}}}),
    );
    let found = missing(&by_key, "linear", &launch(&by_key).unwrap(), &BTreeSet::new());
    assert_eq!(found[0].instructions, ["Open settings", "Make a key"]);
    assert_eq!(found[0].description, "API key");
    // The other key has none of its own.
    assert!(found[1].instructions[0].contains("names no page"));

    let page = entry(json!({"websiteUrl": "https://linear.app/docs"}));
    let found = missing(&page, "linear", &launch(&page).unwrap(), &BTreeSet::new());
    assert!(found[0].instructions[0].contains("https://linear.app/docs"));

    let trick = entry(json!({"websiteUrl": "javascript:alert(1)", "repository": {"url": "https://x/<script>"}}));
    let found = missing(&trick, "linear", &launch(&trick).unwrap(), &BTreeSet::new());
    assert!(found.iter().flat_map(|f| &f.instructions).all(|step| !step.contains("script")));
}

#[test]
fn a_key_in_a_message_is_taken_and_not_kept() {
    let (found, rest) =
        assignments("LINEAR_API_KEY=lin_api_abc and LINEAR_TEAM: \"Core\", please", &["LINEAR_API_KEY", "LINEAR_TEAM"]);
    assert_eq!(found, [("LINEAR_API_KEY".into(), "lin_api_abc".into()), ("LINEAR_TEAM".into(), "Core".into())]);
    assert!(!rest.contains("lin_api_abc") && !rest.contains("Core"), "{rest}");
    assert!(assignments("what is LINEAR_API_KEY?", &["LINEAR_API_KEY"]).0.is_empty());
    assert!(assignments("MY_LINEAR_API_KEY=x", &["LINEAR_API_KEY"]).0.is_empty());
}

#[test]
fn what_looks_like_a_key_is_removed() {
    for (text, clean) in [
        ("my token is ghp_abcdefghijklmnop1234", "my token is [removed]"),
        ("use 'sk-proj-abcdefghij123456' now", "use '[removed]' now"),
        ("key=0123456789abcdef0123456789abcdef", "key=[removed]"),
        (
            "look at https://github.com/a/b/blob/0123456789abcdef0123456789abcdef/x",
            "look at https://github.com/a/b/blob/0123456789abcdef0123456789abcdef/x",
        ),
        ("session 01234567-89ab-cdef-0123-456789abcdef", "session 01234567-89ab-cdef-0123-456789abcdef"),
        ("every morning read the commits", "every morning read the commits"),
    ] {
        assert_eq!(redact(text, &[]), clean);
    }
    assert_eq!(redact("it is hunter2, hunter2!", &["hunter2"]), "it is [removed], [removed]!");
}

proptest! {
    #[test]
    fn a_known_secret_never_survives(before in "[a-z ]{0,30}", secret in "[!-~]{8,40}", after in "[a-z ]{0,30}") {
        let clean = redact(&format!("{before}{secret}{after}"), &[&secret]);
        prop_assert!(!clean.contains(&secret));
    }
}
