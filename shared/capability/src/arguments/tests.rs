use super::*;
use serde_json::json;

fn holds(schema: Value, arguments: Value) -> bool {
    Constraint::default().holds(Some(&schema), &arguments)
}

fn path(path: &str) -> bool {
    let schema =
        json!({"properties": {"path": {"type": "string", "format": "path-within", "within": ["/data", "/srv/x/"]}}});
    holds(schema, json!({ "path": path }))
}

#[test]
fn paths_below_the_folders_pass() {
    for good in
        ["/data", "/data/", "/data/a/b.txt", "/srv/x/y", "//data//a", "/data/./a", "/data/..a", "/data/100%.txt"]
    {
        assert!(path(good), "{good}");
    }
}

#[test]
fn paths_elsewhere_or_in_disguise_do_not() {
    for bad in [
        "",
        "data/a",
        "./data",
        "~/data",
        "/",
        "/database",
        "/dat",
        "/srv/y",
        "/srv",
        "/data/../etc/passwd",
        "/data/..",
        "/data/%2e%2e/etc",
        "/data/%2E./etc",
        "/data%2f..",
        "/data/%252e%252e/x",
        "/data\\..\\etc",
        "/data/a\0b",
        "/data/a\nb",
        "file:///data/a",
        "/DATA/a",
        " /data/a",
        "/dаta/a",
    ] {
        assert!(!path(bad), "{bad:?}");
    }
}

#[test]
fn a_path_of_another_type_does_not_pass() {
    for other in [json!(["/etc"]), json!({"a": "/etc"}), json!(1), Value::Null] {
        let schema = json!({"properties": {"path": {"format": "path-within", "within": "/data"}}});
        assert!(!holds(schema, json!({ "path": other })));
    }
}

#[test]
fn a_format_without_its_folders_allows_nothing() {
    for within in [json!(null), json!([]), json!(7), json!("data"), json!(["/data", "/a/../b"])] {
        let schema = json!({"properties": {"path": {"format": "path-within", "within": within}}});
        assert!(!is_usable_schema(&schema), "{within}");
        assert!(!holds(schema, json!({"path": "/data/a"})));
    }
    assert!(!is_usable_schema(&json!({"format": "path-within"})));
    assert!(is_usable_schema(&json!({"format": "path-within", "within": "/data"})));
}

#[test]
fn ordinary_schemas_constrain() {
    let schema = json!({
        "type": "object", "required": ["repo"], "additionalProperties": false,
        "properties": {"repo": {"enum": ["a/b"]}, "n": {"maximum": 5}, "mail": {"format": "email"}, "id": {"pattern": "^[a-z]+$"}},
    });
    assert!(holds(schema.clone(), json!({"repo": "a/b", "n": 5, "mail": "a@b.example", "id": "x"})));
    for bad in [
        json!({}),
        json!({"repo": "a/c"}),
        json!({"repo": "a/b", "n": 6}),
        json!({"repo": "a/b", "mail": "a"}),
        json!({"repo": "a/b", "id": "x1"}),
        json!({"repo": "a/b", "other": 1}),
        json!([]),
        Value::Null,
    ] {
        assert!(!holds(schema.clone(), bad.clone()), "{bad}");
    }
}

#[test]
fn without_a_schema_everything_passes() {
    assert!(Constraint::default().holds(None, &json!({"any": "thing"})));
}

#[test]
fn references_and_unknown_formats_allow_nothing() {
    for bad in [
        json!({"$ref": "https://example.com/schema.json"}),
        json!({"$ref": "file:///etc/passwd"}),
        json!({"allOf": [{"$ref": "#"}, {"$ref": "#"}]}),
        json!({"$dynamicRef": "#a"}),
        json!({"$recursiveRef": "#"}),
        json!({"$id": "https://example.com/x"}),
        json!({"$schema": "https://example.com/own-meta-schema"}),
        json!({"properties": {"a": {"format": "no-such-format"}}}),
        json!({"type": "no-such-type"}),
        json!({"pattern": "("}),
        json!({"pattern": "(?<=a)b"}),
        json!("not a schema"),
    ] {
        assert!(!is_usable_schema(&bad), "{bad}");
        assert!(!holds(bad, json!({})));
    }
    assert!(is_usable_schema(&json!({"properties": {"$ref": {"type": "string"}}})));
}

#[test]
fn work_is_bounded() {
    let mut deep = json!({"type": "object"});
    for _ in 0..20 {
        deep = json!({"properties": {"a": deep}});
    }
    assert!(!is_usable_schema(&deep));
    let wide: Vec<_> = (0..600).collect();
    assert!(!is_usable_schema(&json!({ "enum": wide })));
    assert!(!is_usable_schema(&json!({"pattern": "((a{1,100}){1,100}){1,100}"})));

    let mut arguments = json!(1);
    for _ in 0..100 {
        arguments = json!([arguments]);
    }
    assert!(!holds(json!({}), arguments));
    assert!(!holds(json!({}), json!(vec![0; 100_001])));
    assert!(holds(json!({}), json!(vec![0; 1000])));
}
