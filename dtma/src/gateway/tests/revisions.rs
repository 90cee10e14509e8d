//! 2026-07-28: headers and body say the same, results say what they are.

use super::*;

fn call(token: &str) -> Draft {
    stateless("/mcp", token, "tools/call", json!({"name": "alpha__echo", "arguments": {"text": "x"}}))
}

#[tokio::test]
async fn headers_that_disagree_with_the_body_are_refused() {
    let stage = Stage::new().await;
    let token = stage.full();
    for (what, draft) in [
        ("no version", call(&token).without("mcp-protocol-version")),
        ("another version", call(&token).set("mcp-protocol-version", "2025-11-25")),
        ("version twice", call(&token).add("mcp-protocol-version", "2026-07-28")),
        ("no method", call(&token).without("mcp-method")),
        ("another method", call(&token).set("mcp-method", "tools/list")),
        ("method's case", call(&token).set("mcp-method", "Tools/Call")),
        ("method twice", call(&token).add("mcp-method", "tools/call")),
        ("no name", call(&token).without("mcp-name")),
        ("another name", call(&token).set("mcp-name", "beta__echo")),
        ("name's case", call(&token).set("mcp-name", "alpha__Echo")),
        ("bad base64", call(&token).set("mcp-name", "=?base64?%%?=")),
        ("encoded another", call(&token).set("mcp-name", "=?base64?YmV0YV9fZWNobw==?=")),
        ("name twice", call(&token).add("mcp-name", "alpha__echo")),
    ] {
        let reply = stage.send(draft.body_of()).await;
        assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, Some(-32020)), "{what}");
        assert_eq!(reply.json()["id"], 1, "{what}");
    }
    assert_eq!(stage.calls(), 0);
    assert_eq!(text_of(&stage.send(call(&token).body_of()).await), "alpha:x");
    // "alpha__echo" in Base64.
    let encoded = call(&token).set("mcp-name", "=?base64?YWxwaGFfX2VjaG8=?=");
    assert_eq!(text_of(&stage.send(encoded.body_of()).await), "alpha:x");
}

#[tokio::test]
async fn incomplete_metadata_and_unknown_versions_are_refused() {
    let stage = Stage::new().await;
    let token = stage.full();
    let meta = |meta: Value| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "ping", "params": {"_meta": meta}});
        stateless("/mcp", &token, "ping", json!({})).text(body.to_string())
    };
    let version = "io.modelcontextprotocol/protocolVersion";
    for (draft, code) in [
        (meta(json!({})), -32602),
        (meta(json!({version: "2026-07-28"})), -32602),
        (meta(json!({version: "2026-07-28", "io.modelcontextprotocol/clientCapabilities": 1})), -32602),
        (meta(json!({version: "1900-01-01"})).set("mcp-protocol-version", "1900-01-01"), -32022),
        (meta(json!({version: "2025-11-25"})).set("mcp-protocol-version", "2025-11-25"), -32022),
        (meta(json!({})).set("mcp-protocol-version", "soon"), -32022),
    ] {
        let reply = stage.send(draft.body_of()).await;
        assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, Some(code)), "{}", reply.text);
        if code == -32022 {
            assert_eq!(reply.json()["error"]["data"]["supported"][0], "2026-07-28");
        }
    }
}

#[tokio::test]
async fn discovery_names_what_is_spoken_here() {
    let stage = Stage::new().await;
    let reply = stage.ask("/mcp", &stage.full(), "server/discover", json!({})).await.json();
    let result = &reply["result"];
    assert_eq!(result["supportedVersions"][0], "2026-07-28");
    assert_eq!(result["resultType"], "complete");
    assert_eq!(result["capabilities"], json!({"tools": {"listChanged": true}}));
    assert_eq!(result["_meta"]["io.modelcontextprotocol/serverInfo"]["name"], "agentopia");
    assert!(result["ttlMs"].is_u64() && result["cacheScope"] == "private");
}

#[tokio::test]
async fn unknown_methods_are_not_found() {
    let stage = Stage::new().await;
    let reply = stage.ask("/mcp", &stage.full(), "roots/list", json!({})).await;
    assert_eq!((reply.status, reply.error_code()), (StatusCode::NOT_FOUND, Some(-32601)));
    // What the older revisions have.
    for method in ["ping", "initialize", "logging/setLevel", "resources/subscribe", "resources/unsubscribe"] {
        let reply = stage.ask("/mcp/alpha", &stage.full(), method, json!({})).await;
        assert_eq!((reply.status, reply.error_code()), (StatusCode::NOT_FOUND, Some(-32601)), "{method}");
    }
    // Not of one server, not at the sum of them.
    let reply = stage.ask("/mcp", &stage.full(), "resources/list", json!({})).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_older_servers_result_is_said_to_be_complete_and_else_untouched() {
    let stage = Stage::new().await;
    let reply = stage.send(call(&stage.full()).body_of()).await;
    assert_eq!(reply.json()["result"]["resultType"], "complete");
    assert!(reply.text.contains("\"vendor/x\":[1.5]"), "{}", reply.text);
    let reply = stage.call(&stage.full(), "alpha__fail", json!({})).await;
    assert_eq!(reply.json()["error"], json!({"code": -32000, "message": "as asked"}));
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_stream_is_acknowledged_and_tells_of_changes_until_its_token_ends() {
    let stage = Stage::new().await;
    let claims = stage.bearer().claims(vec![stage.grant("alpha", "echo")], now(), Some(now() + 4)).unwrap();
    let token = stage.minter.mint(&claims).unwrap();
    let draft = stateless("/mcp", &token, "subscriptions/listen", json!({"notifications": {"toolsListChanged": true}}));
    let registry = stage.registry.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        registry.remove("beta");
    });
    let reply = stage.send(draft.body_of()).await;
    let events: Vec<&str> = reply.text.split("\n\n").filter(|e| e.starts_with("data:")).collect();
    assert_eq!(events.len(), 2, "{}", reply.text);
    assert!(
        events[0].contains("notifications/subscriptions/acknowledged")
            && events[0].contains("\"toolsListChanged\":true")
    );
    assert!(events[1].contains("notifications/tools/list_changed") && events[1].contains("subscriptionId\":1"));
}

#[tokio::test]
async fn a_resource_is_named_by_its_uri_whatever_else_the_body_has() {
    let stage = Stage::new().await;
    let token = everything_of(&stage, "alpha");
    let read = |name: &str| {
        let params = json!({"uri": "test://secret", "name": "test://public"});
        stateless("/mcp/alpha", &token, "resources/read", params).set("mcp-name", name).body_of()
    };
    let decoy = stage.send(read("test://public")).await;
    assert_eq!((decoy.status, decoy.error_code()), (StatusCode::BAD_REQUEST, Some(-32020)));
    let reply = stage.send(read("test://secret")).await;
    assert_eq!(reply.json()["result"]["contents"][0]["uri"], "test://secret", "{}", reply.text);
}

/// For every tool of one server.
fn everything_of(stage: &Stage, server: &str) -> String {
    let tools: Vec<String> =
        stage.registry.get(server).unwrap().tools().map(|(name, _)| format!("{server}.{name}")).collect();
    stage.token(&tools.iter().map(String::as_str).collect::<Vec<_>>())
}
