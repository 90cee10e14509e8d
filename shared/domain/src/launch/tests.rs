use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn entry(packages: Value) -> ServerJson {
    serde_json::from_value(json!({"name": "io.x/y", "description": "d", "version": "1.0.0", "packages": packages}))
        .unwrap()
}

fn npm(extra: Value) -> ServerJson {
    let mut package =
        json!({"registryType": "npm", "identifier": "@scope/name", "version": "1.2.3", "transport": {"type": "stdio"}});
    package.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    entry(json!([package]))
}

#[test]
fn packages_before_images_and_stdio_only() {
    let server = entry(json!([
        {"registryType": "oci", "identifier": "docker.io/mcp/time", "transport": {"type": "stdio"}},
        {"registryType": "pypi", "identifier": "mcp-server-time", "version": "latest", "transport": {"type": "stdio"}},
    ]));
    let found = launch(&server).unwrap();
    assert_eq!(found.source, Source::Uvx { package: "mcp-server-time".into(), version: None });
    assert!(found.hosts.is_empty());
    assert!(found.inputs_unknown);

    let http = entry(json!([{"registryType": "oci", "identifier": "a/b", "transport": {"type": "streamable-http"}}]));
    assert_eq!(launch(&http), Err(Refusal::Transport));
    assert_eq!(launch(&entry(json!([{"registryType": "nuget", "identifier": "x"}]))), Err(Refusal::Kind));
    assert_eq!(launch(&entry(json!([]))), Err(Refusal::NoPackage));
}

#[test]
fn images_keep_their_tag_or_get_the_version() {
    let image = |identifier: &str, version: Value| {
        launch(&entry(json!([{"registryType": "oci", "identifier": identifier, "version": version}]))).map(|l| l.source)
    };
    assert_eq!(image("ghcr.io/a/b:1.0", json!("2.0")), Ok(Source::Oci { image: "ghcr.io/a/b:1.0".into() }));
    assert_eq!(image("localhost:5000/a/b", json!("2.0")), Ok(Source::Oci { image: "localhost:5000/a/b:2.0".into() }));
    assert_eq!(image("mcp/time", json!(null)), Ok(Source::Oci { image: "mcp/time".into() }));
    for bad in ["-v /:/host", "a b", "A/B", "a/b;rm", "a/b@sha256:12", "../x", "a/b:", "http://a/b", "a//b"] {
        assert_eq!(image(bad, json!(null)), Err(Refusal::Identifier), "{bad}");
    }
}

#[test]
fn identifiers_and_versions_are_plain() {
    for bad in [
        "--eval",
        "https://x/y.tgz",
        "git+https://x",
        "../x",
        "a b",
        "a;b",
        "$(x)",
        "@scope",
        "@a/b/c",
        "",
        "a@1",
        "file:x",
    ] {
        assert_eq!(launch(&npm(json!({"identifier": bad}))), Err(Refusal::Identifier), "{bad}");
        assert_eq!(launch(&npm(json!({"registryType": "pypi", "identifier": bad}))), Err(Refusal::Identifier), "{bad}");
    }
    for bad in [">=1.0", "^1", "1 || 2", "beta", "-1", "1;x", "http://1"] {
        assert_eq!(launch(&npm(json!({"version": bad}))), Err(Refusal::Identifier), "{bad}");
    }
    assert!(launch(&npm(json!({"version": "1.0.0-rc.1+b5"}))).is_ok());
}

#[test]
fn references_become_inputs_once_and_other_braces_stay() {
    let server = npm(json!({"environmentVariables": [
        {"name": "OPENAPI_MCP_HEADERS", "isSecret": true,
         "value": "{\"Authorization\": \"Bearer {TOKEN}\", \"Version\": {\"x\": 1}, \"o\": \"{OTHER}\"}",
         "variables": {"TOKEN": {"description": "t", "isRequired": true, "isSecret": true}}},
        {"name": "TOKEN", "isRequired": true},
        {"name": "MODE", "value": "stdio"},
        {"name": "LEVEL", "default": "readonly"}],
      "packageArguments": [
        {"type": "positional", "value": "--token={TOKEN}", "variables": {"TOKEN": {"isRequired": true}}},
        {"type": "positional", "value": "--level={level}", "variables": {"level": {"default": "low"}}},
        {"type": "positional", "value": "--skip={nothing}", "variables": {"nothing": {}}},
        {"type": "named", "name": "--api-key", "isRequired": true, "isSecret": true},
        {"type": "named", "name": "--optional"},
        {"type": "positional", "valueHint": "DB_URL", "isRequired": true}]}));
    let found = launch(&server).unwrap();
    assert_eq!(found.args, ["--token={TOKEN}", "--level=low", "--api-key", "{API_KEY}", "{DB_URL}"]);
    assert_eq!(
        found.env["OPENAPI_MCP_HEADERS"],
        "{\"Authorization\": \"Bearer {TOKEN}\", \"Version\": {\"x\": 1}, \"o\": \"{OTHER}\"}"
    );
    assert_eq!(found.env["MODE"], "stdio");
    let keys: Vec<_> = found.inputs.iter().map(|i| (i.key.as_str(), i.required, i.secret)).collect();
    assert_eq!(
        keys,
        [
            ("TOKEN", true, true),
            ("LEVEL", false, false),
            ("API_KEY", true, true),
            ("OPTIONAL", false, false),
            ("DB_URL", true, false)
        ]
    );
    assert!(!found.inputs_unknown);
}

#[test]
fn a_stored_value_overrides_a_default_and_brings_an_optional_input() {
    let found = launch(&npm(json!({"environmentVariables": [
        {"name": "A", "isRequired": true}, {"name": "B"}, {"name": "C", "default": "x"}, {"name": "D", "default": "y"}]}))).unwrap();
    let stored = BTreeSet::from(["B".to_owned(), "C".to_owned()]);
    assert_eq!(found.secrets(&stored), ["A", "B", "C"]);
    assert_eq!(found.plain_env(&stored), BTreeMap::from([("D".to_owned(), "y".to_owned())]));
}

#[test]
fn nothing_shapes_how_the_server_is_started() {
    for bad in ["$(id)", "`id`", "a;b", "a|b", "a\nb", "x && y", "a\u{202e}b", "<dir>"] {
        let server = npm(json!({"packageArguments": [{"type": "positional", "value": bad}]}));
        assert_eq!(launch(&server), Err(Refusal::Argument), "{bad:?}");
    }
    for bad in ["LD_PRELOAD", "NODE_OPTIONS", "PATH", "PYTHONPATH", "A B", "A=B", "1A", "UV_INDEX_URL", "ld_preload"] {
        let server = npm(json!({"environmentVariables": [{"name": bad, "value": "x"}]}));
        assert_eq!(launch(&server), Err(Refusal::Variable), "{bad}");
        let optional = npm(json!({"environmentVariables": [{"name": bad}]}));
        assert!(launch(&optional).unwrap().inputs.is_empty(), "{bad}");
    }
    let mounts = npm(json!({"runtimeArguments": [{"type": "named", "name": "-v", "value": "/:/host"}]}));
    assert!(launch(&mounts).unwrap().args.is_empty());
}

fn service(remotes: Value) -> ServerJson {
    let mut entry = entry(json!([]));
    entry.remotes = serde_json::from_value(remotes).unwrap();
    entry
}

#[test]
fn a_service_is_its_address_and_its_headers() {
    let found = launch(&service(json!([
        {"type": "sse", "url": "https://a.example/sse"},
        {"type": "streamable-http", "url": "https://a.example/mcp", "headers": [
            {"name": "Authorization", "value": "Bearer {KEY}", "variables": {"KEY": {"isRequired": true, "isSecret": true}}},
            {"name": "X-Team", "isRequired": true},
            {"name": "X-Mode", "default": "plain"},
            {"name": "X-Perhaps", "isSecret": true},
            {"name": "X-Unset", "value": "{NOTHING}", "variables": {"NOTHING": {}}}]},
    ])))
    .unwrap();
    assert_eq!(found.address(), Some("https://a.example/mcp"));
    let headers: Vec<_> = found.env.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    assert_eq!(headers, [("Authorization", "Bearer {KEY}"), ("X-Mode", "plain"), ("X-Team", "{X_TEAM}")]);
    assert_eq!(found.secrets(&BTreeSet::new()), ["KEY", "X_TEAM"]);
    assert!(found.hosts.is_empty() && !found.inputs_unknown);
    assert!(
        launch(&service(json!([{"type": "streamable-http", "url": "https://a.example/mcp"}]))).unwrap().inputs_unknown
    );

    // What can be run at the toolbox is.
    let mut both = npm(json!({}));
    both.remotes = service(json!([{"type": "streamable-http", "url": "https://a.example/mcp"}])).remotes;
    assert!(launch(&both).unwrap().address().is_none());
    both.packages[0].registry_type = "nuget".into();
    assert_eq!(launch(&both).unwrap().address(), Some("https://a.example/mcp"));
    both.remotes.clear();
    assert_eq!(launch(&both), Err(Refusal::Kind));
}

#[test]
fn a_service_that_is_no_plain_one_is_refused() {
    assert_eq!(launch(&service(json!([{"type": "sse", "url": "https://a.example/sse"}]))), Err(Refusal::Stream));
    for url in ["http://a.example/mcp", "https://", "https://u@a.example/", "https://{host}/", "https://a.example/{id}"]
    {
        assert_eq!(launch(&service(json!([{"type": "streamable-http", "url": url}]))), Err(Refusal::Address), "{url}");
    }
    for (name, value) in [("Host", "b"), ("Mcp-Session-Id", "b"), ("a b", "b"), ("X-A", "b\r\nHost: c"), ("X-A", "ü")]
    {
        let headers = json!([{"name": name, "value": value}]);
        let remote = json!([{"type": "streamable-http", "url": "https://a.example/mcp", "headers": headers}]);
        assert_eq!(launch(&service(remote)), Err(Refusal::Header), "{name}: {value}");
    }
}

#[test]
fn a_key_that_stands_in_no_header_gets_one() {
    assert_eq!(header("A_KEY"), ("Authorization".to_owned(), "Bearer {A_KEY}".to_owned()));
    assert_eq!(header("X_API_KEY"), ("X-API-KEY".to_owned(), "{X_API_KEY}".to_owned()));
}

#[test]
fn declared_hosts_are_names_with_ports() {
    let mut server = npm(json!({}));
    assert_eq!(launch(&server).unwrap().hosts, ["*"]);
    server.meta.insert(
        "io.agentopia/hosts".into(),
        json!(["api.linear.app:443", "127.0.0.1:80", "localhost:1", "a.internal:1", "x.y", "10.0.0.1:443"]),
    );
    assert_eq!(launch(&server).unwrap().hosts, ["api.linear.app:443"]);
    server.meta.insert("io.agentopia/hosts".into(), json!([]));
    assert!(launch(&server).unwrap().hosts.is_empty());
}

proptest! {
    /// Whatever an entry says, what comes out is inside the grammars.
    #[test]
    fn no_text_escapes(identifier in "\\PC{0,30}", argument in any::<String>(), name in "\\PC{0,20}", value in any::<String>()) {
        let server = npm(json!({"identifier": identifier,
            "packageArguments": [{"type": "positional", "value": argument}],
            "environmentVariables": [{"name": name, "value": value}]}));
        if let Ok(found) = launch(&server) {
            let Source::Npx { package, .. } = &found.source else { panic!("npm stays npm") };
            prop_assert!(check::npm(package));
            prop_assert!(found.args.iter().all(|argument| check::argument(argument)));
            prop_assert!(found.env.iter().all(|(k, v)| check::variable_name(k) && !v.contains('\n')));
        }
    }
}
