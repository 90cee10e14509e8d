use super::*;
use crate::json::{Limits, Refused};
use proptest::prelude::*;
use serde_json::{Value, json};

fn parse(text: &str) -> Result<Message<'_>, Refused> {
    Message::parse(text.as_bytes(), Limits::REQUEST)
}

fn sent(rewrite: &Rewrite<'_>, id: u64) -> String {
    let mut out = Vec::new();
    rewrite.write(id, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn tells_the_kinds_of_messages_apart() {
    let request =
        parse(r#"{"jsonrpc":"2.0","id":"a\"b","method":"tools/call","params":{"name":"x","arguments":{"y":[1]}}}"#);
    let request = request.unwrap();
    assert_eq!(request.id().unwrap().as_json(), r#""a\"b""#);
    assert_eq!(request.method.as_deref(), Some("tools/call"));
    assert_eq!(request.target(), Some("x"));
    assert_eq!(request.arguments(), Some(r#"{"y":[1]}"#));
    assert!(parse(r#"{"jsonrpc":"2.0","method":"notifications/x"}"#).unwrap().id().is_none());
    assert_eq!(parse(r#"{"jsonrpc":"2.0","id":1,"result":{}}"#).unwrap().result(), Some("{}"));
    assert_eq!(parse(r#"{"jsonrpc":"2.0","id":null,"error":{"code":1}}"#).unwrap().error(), Some(r#"{"code":1}"#));
}

#[test]
fn an_escaped_name_is_the_name() {
    let message = parse(r#"{"jsonrpc":"2.0","id":1,"m\u0065thod":"tools\/call","params":{"n\u0061me":"\u0065cho"}}"#);
    let message = message.unwrap();
    assert_eq!(message.method.as_deref(), Some("tools/call"));
    assert_eq!(message.target(), Some("echo"));
}

#[test]
fn refuses_what_is_no_message_and_takes_its_like() {
    let good = r#"{"jsonrpc":"2.0","id":1,"method":"ping","params":{}}"#;
    parse(good).unwrap();
    for (from, to) in [
        ("\"2.0\"", "\"1.0\""),
        ("\"2.0\"", "2.0"),
        ("\"id\":1", "\"id\":null"),
        ("\"id\":1", "\"id\":1.5"),
        ("\"id\":1", "\"id\":1e3"),
        ("\"id\":1", "\"id\":true"),
        ("\"id\":1", "\"id\":{}"),
        ("\"ping\"", "7"),
        ("\"params\":{}", "\"params\":[]"),
        ("\"params\":{}", "\"params\":null"),
        ("\"params\":{}", "\"id\":2"),
        ("\"params\":{}", "\"result\":{}"),
        ("\"method\":\"ping\",", ""),
        (good, "[]"),
        (good, "7"),
        (good, ""),
    ] {
        assert!(parse(&good.replace(from, to)).is_err(), "{from} -> {to}");
    }
    assert_eq!(parse(&format!("[{good}]")).err(), Some(Refused::Batch));
    let long = format!("\"id\":\"{}\"", "x".repeat(300));
    assert!(parse(&good.replace("\"id\":1", &long)).is_err());
}

#[test]
fn line_breaks_between_tokens_become_spaces() {
    let message = "{\n\"jsonrpc\":\"2.0\",\r\n\"id\":1,\"method\":\"x\",\"params\":{\"t\":\"a\\nb\"}\n}";
    let line = sent(&parse(message).unwrap().rewrite(), 7);
    assert_eq!(line, "{ \"jsonrpc\":\"2.0\",  \"id\":7,\"method\":\"x\",\"params\":{\"t\":\"a\\nb\"} }\n");
}

#[test]
fn a_stateless_server_gets_the_version_in_every_request() {
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let capabilities = r#""io.modelcontextprotocol/clientCapabilities":{}"#;
    let whole = format!(r#"{{"_meta":{{{version},{capabilities}}},"a":1}}"#);
    for (params, expected) in [
        (r#"{"a":1}"#, whole.clone()),
        ("{}", format!(r#"{{"_meta":{{{version},{capabilities}}}}}"#)),
        (r#"{"_meta":{},"a":1}"#, whole.clone()),
        (r#"{"_meta":{"p":1}}"#, format!(r#"{{"_meta":{{{version},{capabilities},"p":1}}}}"#)),
        (&whole, whole.clone()),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{params}}}"#);
        let message = parse(&text).unwrap();
        let line = sent(&message.bridged(message.rewrite(), true), 1);
        assert_eq!(line, format!("{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"x\",\"params\":{expected}}}\n"));
    }
    let message = parse(r#"{"jsonrpc":"2.0","id":1,"method":"x"}"#).unwrap();
    let line = sent(&message.bridged(message.rewrite(), true), 1);
    let read: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(read["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
}

#[test]
fn a_server_of_sessions_gets_no_envelope_and_all_the_rest() {
    let version = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
    let others =
        r#""io.modelcontextprotocol/clientCapabilities":{"x":{}},"io.modelcontextprotocol/clientInfo":{"name":"c"}"#;
    for (meta, expected) in [
        (format!("{{{version}, {others}}}"), "{}".to_owned()),
        (
            format!(r#"{{"progressToken": 7,{version},"a/b":{{"c":[1.50]}},{others}}}"#),
            r#"{"progressToken":1,"a/b":{"c":[1.50]}}"#.to_owned(),
        ),
        (format!(r#"{{{version},"progressToken":"\"t"}}"#), r#"{"progressToken":1}"#.to_owned()),
        // Whoever chose it, the token becomes the id.
        (r#"{ "progressToken" : 7 }"#.to_owned(), r#"{ "progressToken" : 1 }"#.to_owned()),
    ] {
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"_meta":{meta},"name":"a"}}}}"#);
        let message = parse(&text).unwrap();
        let line = sent(&message.bridged(message.rewrite_named("b"), false), 1);
        let expected = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"x","params":{{"_meta":{expected},"name":"b"}}}}"#);
        assert_eq!(line, format!("{expected}\n"));
    }
}

fn id() -> impl Strategy<Value = Value> {
    prop_oneof![any::<i64>().prop_map(Value::from), "[^\\x00]{0,40}".prop_map(Value::from)]
}

proptest! {
    /// Cut the id and the name out of what came and of what is sent: the rest is the same, byte for byte.
    #[test]
    fn every_other_byte_stays(
        id in id(), name in any::<String>(), new in any::<String>(), ours in any::<u64>(),
        arguments in prop::collection::btree_map(any::<String>(), any::<String>(), 0..5),
        extra in any::<String>(), name_first in any::<bool>(),
    ) {
        let (name_text, arguments) = (json!(name).to_string(), json!(arguments).to_string());
        let params = if name_first {
            format!(r#"{{"name" : {name_text},"arguments":{arguments}}}"#)
        } else {
            format!(r#"{{"arguments":{arguments},"vendor/x":{},"name": {name_text} }}"#, json!(extra))
        };
        let before = format!(r#" {{"params":{params}, "method":"tools/call","jsonrpc":"2.0" ,"id": "#);
        let text = format!("{before}{id}}}");
        let message = parse(&text).unwrap();
        let span = message.name_span().unwrap();
        let line = sent(&message.rewrite_named(&new), ours);
        let expected = format!("{}{}{}{ours}}}\n", &text[..span.start], json!(new), &before[span.end..]);
        prop_assert_eq!(line, expected);
        prop_assert_eq!(message.target(), Some(&*name));
    }
}
