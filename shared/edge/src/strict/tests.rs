use super::from_slice;
use proptest::prelude::*;
use serde_json::{Value, json};

#[test]
fn a_key_twice_is_refused_at_any_depth() {
    for text in [r#"{"a":1,"a":2}"#, r#"{"a":[{"b":{"c":1,"c":1}}]}"#, r#"{"a":1,"\u0061":2}"#] {
        let error = from_slice::<Value>(text.as_bytes()).expect_err(text);
        assert!(error.to_string().contains("appears twice"), "{error}");
    }
}

#[test]
fn the_same_key_in_two_objects_is_fine() {
    let value: Value = from_slice(br#"{"a":{"x":1},"b":{"x":2}}"#).expect("it is fine");
    assert_eq!(value, json!({"a": {"x": 1}, "b": {"x": 2}}));
}

#[test]
fn what_is_not_one_value_is_refused() {
    let deep = "[".repeat(200) + &"]".repeat(200);
    for text in ["", "{} {}", "\u{feff}{}", "{\"a\":1", "1e999", deep.as_str()] {
        assert!(from_slice::<Value>(text.as_bytes()).is_err(), "{text:?}");
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "[a-z]{0,4}".prop_map(Value::from)
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map("[a-z]{1,3}", inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn every_value_without_duplicates_is_read_as_it_is(value in values()) {
        prop_assert_eq!(from_slice::<Value>(value.to_string().as_bytes()).expect("no key twice"), value);
    }
}
