//! Each refusal, and beside it the same attempt as it succeeds.

use super::*;
use capability::MAX_LIFE;

#[tokio::test]
async fn without_a_good_token_nothing_reaches_a_server() {
    let stage = Stage::new().await;
    let ask = |token: &str| stateless("/mcp", token, "tools/call", json!({"name": "alpha__echo", "arguments": {}}));
    let good = stage.full();

    let reply = stage.send(ask(&good).without("authorization").body_of()).await;
    assert_eq!((reply.status, challenge(&reply)), (StatusCode::UNAUTHORIZED, "Bearer"));
    assert!(reply.json()["fix"].is_string(), "{}", reply.text);

    let elsewhere = Bearer { toolbox: ToolboxId::new(), ..stage.bearer() };
    let somebody = Bearer { owner: UserId::new(), ..stage.bearer() };
    let tools = || vec![stage.grant("alpha", "echo")];
    let mint = |bearer: &Bearer, at| stage.minter.mint(&bearer.claims(tools(), at, None).unwrap()).unwrap();
    let forger = Minter::from_pkcs8("k1", &SigningKey::generate().unwrap()).unwrap();
    let forged = forger.mint(&stage.bearer().claims(tools(), now(), None).unwrap()).unwrap();
    for (what, token) in [
        ("nonsense", "x.y.z".into()),
        ("another toolbox", mint(&elsewhere, now())),
        ("another owner", mint(&somebody, now())),
        ("expired", mint(&stage.bearer(), now() - MAX_LIFE)),
        ("not yet", mint(&stage.bearer(), now() + 300)),
        ("forged", forged),
        ("cut short", good[..good.len() - 4].into()),
    ] {
        let reply = stage.send(ask(&token).body_of()).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{what}");
        assert_eq!(challenge(&reply), "Bearer error=\"invalid_token\"", "{what}");
        assert!(!reply.text.contains("alpha"), "{what}: {}", reply.text);
    }
    let twice = ask(&good).add("authorization", format!("Bearer {good}"));
    assert_eq!(stage.send(twice.body_of()).await.status, StatusCode::UNAUTHORIZED);
    let basic = ask(&good).set("authorization", format!("Basic {good}"));
    assert_eq!(stage.send(basic.body_of()).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stage.calls(), 0);

    assert_eq!(stage.send(ask(&good).body_of()).await.status, StatusCode::OK);
    assert_eq!(stage.calls(), 1);
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_the_next_call() {
    let stage = Stage::new().await;
    let token = stage.full();
    assert_eq!(text_of(&stage.call(&token, "alpha__echo", json!({"text": "a"})).await), "alpha:a");
    let list = Revocations { sequence: 2, epochs: BTreeMap::from([(stage.agent, 2)]), revoked: vec![] };
    stage.verifier.set_revocations(&list, now()).unwrap();
    assert_eq!(stage.call(&token, "alpha__echo", json!({})).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(stage.calls(), 1);
}

#[tokio::test]
async fn what_is_not_listed_cannot_be_called_by_any_spelling() {
    let stage = Stage::new().await;
    let token = stage.token(&["alpha.echo"]);
    let mut words = std::collections::BTreeSet::new();
    for name in [
        "alpha__slow",
        "beta__echo",
        "gamma__echo",
        "alpha__",
        "__echo",
        "alpha",
        "echo",
        "Alpha__echo",
        "alpha__Echo",
        "alpha__echo ",
        " alpha__echo",
        "alpha__echo__",
        "alpha___echo",
        "alpha__\u{435}cho",
        "alpha__echo\u{200b}",
        "alpha%5F%5Fecho",
        "alpha/echo",
        "alpha.echo",
        "",
        "find__tool",
    ] {
        let params = json!({"name": name, "arguments": {}});
        let encoded = if name.is_ascii() && name.trim() == name {
            name.into()
        } else {
            use base64::Engine;
            format!("=?base64?{}?=", base64::prelude::BASE64_STANDARD.encode(name))
        };
        let draft = stateless("/mcp", &token, "tools/call", params).set("mcp-name", encoded);
        let reply = stage.send(draft.body_of()).await;
        assert_eq!(reply.error_code(), Some(-32602), "{name}: {}", reply.text);
        words.insert(reply.json()["error"]["message"].to_string());
    }
    // What exists and what does not read the same.
    assert_eq!(words.len(), 1, "{words:?}");
    assert!(!words.first().unwrap().contains("alpha") && !words.first().unwrap().contains("slow"));
    assert_eq!(stage.calls(), 0);
    assert_eq!(text_of(&stage.call(&token, "alpha__echo", json!({"text": "x"})).await), "alpha:x");
}

#[tokio::test]
async fn a_tool_that_changed_waits_for_a_new_look() {
    let stage = Stage::new().await;
    let token = stage.token(&["alpha.echo", "beta.echo"]);
    let seen = stage.seen.clone();
    let mut changed = definition("echo");
    changed["description"] = "now it also reads your mail".into();
    let connection = serve_here("alpha".into(), vec![changed], seen).await;
    let tools = connection.tools().await.unwrap();
    let entry = ServerEntry { id: ServerId::new(), connection, tools, secrets: Arc::default() };
    stage.registry.insert("alpha", entry);
    let reply = stage.call(&token, "alpha__echo", json!({})).await;
    assert_eq!(reply.error_code(), Some(-32602));
    assert_eq!(stage.calls(), 0);
    let list = stage.ask("/mcp", &token, "tools/list", json!({})).await;
    assert!(!list.text.contains("alpha__echo") && list.text.contains("beta__echo"), "{}", list.text);
    assert_eq!(text_of(&stage.call(&token, "beta__echo", json!({"text": "x"})).await), "beta:x");
    let renewed = stage.token(&["alpha.echo"]);
    assert_eq!(text_of(&stage.call(&renewed, "alpha__echo", json!({"text": "x"})).await), "alpha:x");
}

#[tokio::test]
async fn arguments_outside_of_the_grants_schema_are_refused() {
    let stage = Stage::new().await;
    let mut grant = stage.grant("alpha", "echo");
    grant.args = Some(json!({"type": "object", "properties": {"text": {"const": "yes"}}, "required": ["text"]}));
    let token = stage.token_of(vec![grant]);
    for arguments in [json!({}), json!({"text": "no"}), json!({"text": 1})] {
        assert_eq!(stage.call(&token, "alpha__echo", arguments).await.error_code(), Some(-32602));
    }
    assert_eq!(stage.calls(), 0);
    assert_eq!(text_of(&stage.call(&token, "alpha__echo", json!({"text": "yes"})).await), "alpha:yes");
}

#[tokio::test]
async fn bodies_that_two_readers_could_read_differently_are_refused() {
    let stage = Stage::new().await;
    let token = stage.token(&["alpha.echo"]);
    let good = stateless("/mcp", &token, "tools/call", json!({"name": "alpha__echo", "arguments": {"text": "x"}})).body;
    let send = |body: String| {
        let draft = stateless("/mcp", &token, "tools/call", json!({"name": "alpha__echo"})).text(body);
        stage.send(draft.body_of())
    };
    let name = "\"name\":\"alpha__echo\"";
    for (what, body, code) in [
        ("batch", format!("[{good}]"), -32600),
        ("byte order mark", format!("\u{feff}{good}"), -32700),
        ("two names", good.replace(name, &format!("\"name\":\"alpha__slow\",{name}")), -32700),
        ("two spellings", good.replace(name, &format!("\"n\\u0061me\":\"alpha__slow\",{name}")), -32700),
        ("two arguments", good.replace("\"text\":\"x\"", "\"text\":\"x\",\"text\":\"y\""), -32700),
        ("deep", good.replace("\"x\"", &format!("{}{}", "[".repeat(10_000), "]".repeat(10_000))), -32700),
        ("huge", good.replace("\"x\"", "1e999"), -32700),
        ("cut", good[..good.len() - 1].into(), -32700),
        ("more", format!("{good}{good}"), -32700),
        ("no object", good.replace("{\"text\":\"x\"}", "[1]"), -32602),
    ] {
        assert_ne!(body, good, "{what}");
        assert_eq!(send(body).await.error_code(), Some(code), "{what}");
    }
    assert_eq!(stage.calls(), 0);
    assert_eq!(text_of(&send(good).await), "alpha:x");
}

#[tokio::test]
async fn a_body_over_the_cap_is_refused_before_it_is_read() {
    let stage = Stage::with(Settings { max_body: 10_000, ..Settings::default() }).await;
    let token = stage.full();
    let sized = |size: usize| {
        let arguments = json!({"text": "x".repeat(size)});
        stateless("/mcp", &token, "tools/call", json!({"name": "alpha__echo", "arguments": arguments}))
    };
    assert_eq!(stage.send(sized(100_000).body_of()).await.status, StatusCode::PAYLOAD_TOO_LARGE);
    // Without a length it is counted while it comes.
    let (parts, _) = sized(10).body_of().into_parts();
    let chunks = futures::stream::iter((0..100).map(|_| Ok::<_, std::io::Error>(bytes::Bytes::from(vec![b' '; 1000]))));
    let reply = stage.send(axum::http::Request::from_parts(parts, Body::from_stream(chunks))).await;
    assert_eq!(reply.status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(stage.send(sized(9000).body_of()).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_not_waited_for() {
    let settings = Settings { body_timeout: Duration::from_millis(100), ..Settings::default() };
    let stage = Stage::with(settings).await;
    let (parts, _) = stateless("/mcp", &stage.full(), "ping", json!({})).body_of().into_parts();
    let never = futures::stream::pending::<Result<bytes::Bytes, std::io::Error>>();
    let reply = stage.send(axum::http::Request::from_parts(parts, Body::from_stream(never))).await;
    assert_eq!(reply.status, StatusCode::REQUEST_TIMEOUT);
}
