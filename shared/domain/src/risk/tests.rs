use super::*;
use proptest::prelude::*;
use serde_json::json;

#[test]
fn well_known_tools_have_the_class_that_a_person_would_give_them() {
    for (name, class) in [
        ("get_current_time", Read),
        ("convert_time", Read),
        ("read_graph", Read),
        ("getTinyImage", Read),
        ("github-list-issues", Read),
        ("create_entities", Write),
        ("slack_post_message", Egress),
        ("delete_entities", Destructive),
        ("fetch", Egress),
        ("search_web", Egress),
        ("run_query", Exec),
        ("executeSql", Exec),
        ("sequentialthinking", Destructive),
        ("get_and_delete", Destructive),
        ("list_posts", Read),
        ("", Destructive),
    ] {
        assert_eq!(classify(name, &json!({"name": name})), class, "{name}");
    }
}

#[test]
fn a_server_cannot_talk_its_tool_down() {
    let definition = json!({"annotations": {"readOnlyHint": true, "destructiveHint": false, "openWorldHint": false}});
    assert_eq!(classify("delete_everything", &definition), Destructive);
    assert_eq!(classify("frobnicate", &definition), Destructive);
    // The positive control: where the name says so too, it is a read.
    assert_eq!(classify("get_thing", &definition), Read);
}

#[test]
fn a_server_that_warns_is_believed() {
    assert_eq!(classify("get_thing", &json!({"annotations": {"readOnlyHint": false}})), Write);
    assert_eq!(classify("get_thing", &json!({"annotations": {"destructiveHint": true}})), Destructive);
    assert_eq!(classify("get_thing", &json!({"annotations": {"openWorldHint": true}})), Egress);
    assert_eq!(classify("get_thing", &json!({"annotations": {"readOnlyHint": "no"}})), Read);
}

fn hint() -> impl Strategy<Value = Value> {
    prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::Bool), ".*".prop_map(Value::String)]
}

proptest! {
    #[test]
    fn annotations_never_lower_a_class(name in "\\PC{0,40}", read in hint(), destructive in hint(), open in hint()) {
        let said = json!({"annotations": {"readOnlyHint": read, "destructiveHint": destructive, "openWorldHint": open}});
        let silent = json!({});
        prop_assert!(classify(&name, &said) >= classify(&name, &silent));
    }

    #[test]
    fn the_spelling_of_a_name_does_not_matter(words in prop::collection::vec("[a-z]{1,8}", 1..4)) {
        let camel: String = words.iter().enumerate().map(|(nth, word)| match nth {
            0 => word.clone(),
            _ => word[..1].to_uppercase() + &word[1..],
        }).collect();
        prop_assert_eq!(classify(&words.join("_"), &Value::Null), classify(&words.join("-"), &Value::Null));
        // One-letter words run together in camel case.
        if words.iter().all(|word| word.len() > 1) {
            prop_assert_eq!(classify(&words.join("_"), &Value::Null), classify(&camel, &Value::Null));
        }
    }

    #[test]
    fn a_name_without_a_known_verb_is_destructive_at_least(name in "[xyzq]{1,12}") {
        prop_assert!(classify(&name, &Value::Null) >= Destructive);
    }
}
