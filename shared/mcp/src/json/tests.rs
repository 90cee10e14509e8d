use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn scan(text: &[u8]) -> Result<(), Refused> {
    let mut scanner = Scanner::new(text, Limits::REQUEST)?;
    scanner.skip()?;
    scanner.end()
}

#[test]
fn refuses_what_is_ambiguous_and_takes_its_like() {
    for (bad, good) in [
        (r#"{"a":1,"a":2}"#, r#"{"a":1,"b":2}"#),
        (r#"{"a":1,"\u0061":2}"#, r#"{"a":1,"\u0062":2}"#),
        (r#"{"x":{"a":1,"a":2}}"#, r#"{"x":{"a":1},"y":{"a":2}}"#),
        (r#"[{"a":1,"b":2,"a":3}]"#, r#"[{"a":1},{"a":1}]"#),
        ("\u{feff}{}", "{}"),
        ("1e400", "1e300"),
        ("-1e999", "-1e-999"),
        (&"9".repeat(65), &"9".repeat(64)),
        ("{\"a\":1}x", "{\"a\":1} "),
        ("\"a\nb\"", "\"a\\nb\""),
        ("\"\\x\"", "\"\\u00e9\""),
        ("\"\\u12\"", "\"\\u12ab\""),
        ("[1,]", "[1]"),
        ("{\"a\":}", "{\"a\":[]}"),
        ("01", "0"),
        ("1.", "1.0"),
        ("+1", "1"),
        ("nul", "null"),
        ("\"", "\"\""),
        ("", "0"),
    ] {
        assert!(scan(bad.as_bytes()).is_err(), "{bad}");
        assert_eq!(scan(good.as_bytes()), Ok(()), "{good}");
    }
    assert_eq!(scan(b"\"\xff\""), Err(Refused::NotUtf8));
    assert_eq!(scan(b"\xff\xfe{\0}\0"), Err(Refused::ByteOrderMark));
}

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(scan(nested(100).as_bytes()), Ok(()));
    assert_eq!(scan(nested(101).as_bytes()), Err(Refused::TooDeep));
    assert_eq!(scan("[".repeat(10_000).as_bytes()), Err(Refused::TooDeep));
}

#[test]
fn many_keys_cost_no_more_than_their_length() {
    let keys = |last: &str| {
        let keys: String = (0..50_000).map(|i| format!("\"k{i}\":0,")).collect();
        format!("{{{keys}\"{last}\":0}}")
    };
    let started = std::time::Instant::now();
    assert_eq!(scan(keys("new").as_bytes()), Ok(()));
    assert!(matches!(scan(keys("k7").as_bytes()), Err(Refused::DuplicateKey(_))));
    assert!(matches!(scan(keys("k49999").as_bytes()), Err(Refused::DuplicateKey(_))));
    // Comparing each with each would take a minute.
    assert!(started.elapsed() < std::time::Duration::from_secs(5));
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |n| n.is_finite()).prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(any::<String>(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn takes_whatever_serde_writes(value in any_json()) {
        prop_assert_eq!(scan(value.to_string().as_bytes()), Ok(()));
        prop_assert_eq!(scan(serde_json::to_string_pretty(&value).unwrap().as_bytes()), Ok(()));
    }

    #[test]
    fn never_takes_what_serde_does_not(text in "[\\[\\]{}:,\"\\\\a1 .eE+-]{0,24}") {
        if scan(text.as_bytes()).is_ok() {
            prop_assert!(serde_json::from_str::<Value>(&text).is_ok(), "{}", text);
        }
    }

    #[test]
    fn canonical_form_is_a_fixed_point_and_means_the_same(value in any_json()) {
        let once = canonical(&value.to_string()).unwrap();
        prop_assert_eq!(canonical(&once).unwrap(), once.clone());
        prop_assert_eq!(canonical(&serde_json::to_string_pretty(&value).unwrap()).unwrap(), once);
    }

    #[test]
    fn doubles_survive_the_canonical_form(n in any::<f64>().prop_filter("finite", |n| n.is_finite())) {
        let read: f64 = canonical(&Value::from(n).to_string()).unwrap().parse().unwrap();
        prop_assert_eq!(read, n);
    }
}

/// The examples of RFC 8785: section 3.2.2, 3.2.3 and appendix B.
#[test]
fn canonical_form_as_in_the_specification() {
    let text = r#"{"numbers":[333333333.33333329,1E30,4.50,2e-3,0.000000000000000000000000001],
            "string":"\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/","literals":[null,true,false]}"#;
    assert_eq!(
        canonical(text).unwrap(),
        "{\"literals\":[null,true,false],\"numbers\":[333333333.3333333,1e+30,4.5,0.002,1e-27],\
         \"string\":\"€$\\u000f\\nA'B\\\"\\\\\\\\\\\"/\"}"
    );
    let keys = json!({"\u{20ac}": 1, "\r": 2, "\u{fb33}": 3, "1": 4, "\u{1f600}": 5, "\u{80}": 6, "\u{f6}": 7});
    assert_eq!(
        canonical(&keys.to_string()).unwrap(),
        "{\"\\r\":2,\"1\":4,\"\u{80}\":6,\"\u{f6}\":7,\"\u{20ac}\":1,\"\u{1f600}\":5,\"\u{fb33}\":3}"
    );
    for (bits, text) in [
        (0x0000_0000_0000_0000, "0"),
        (0x8000_0000_0000_0000, "0"),
        (0x0000_0000_0000_0001, "5e-324"),
        (0x7fef_ffff_ffff_ffff, "1.7976931348623157e+308"),
        (0x4340_0000_0000_0000, "9007199254740992"),
        (0xc340_0000_0000_0000, "-9007199254740992"),
        (0x4430_0000_0000_0000, "295147905179352830000"),
        (0x44b5_2d02_c7e1_4af5, "9.999999999999997e+22"),
        (0x44b5_2d02_c7e1_4af6, "1e+23"),
        (0x444b_1ae4_d6e2_ef4e, "999999999999999700000"),
        (0x444b_1ae4_d6e2_ef50, "1e+21"),
        (0x3eb0_c6f7_a0b5_ed8d, "0.000001"),
        (0x3eb0_c6f7_a0b5_ed8c, "9.999999999999997e-7"),
        (0x41b3_de43_5555_5554, "333333333.33333325"),
        (0xbecb_f647_612f_3696, "-0.0000033333333333333333"),
        (0x4314_3ff3_c1cb_0959, "1424953923781206.2"),
    ] {
        assert_eq!(canonical(&Value::from(f64::from_bits(bits)).to_string()).unwrap(), text);
    }
}

#[test]
fn digest_ignores_order_and_spelling_but_no_content() {
    let one = digest(r#"{"name":"a","inputSchema":{"type":"object","x":1.0}}"#).unwrap();
    assert_eq!(digest(r#"{ "inputSchema": {"x":1,"type":"obj\u0065ct"}, "name":"a" }"#), Ok(one.clone()));
    assert_ne!(digest(r#"{"name":"a","inputSchema":{"type":"object","x":2}}"#), Ok(one.clone()));
    assert!(digest(r#"{"name":"a","name":"a"}"#).is_err());
    assert_eq!(one.len(), 64);
}
