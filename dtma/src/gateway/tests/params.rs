//! Arguments that are repeated in headers.

use super::*;

async fn staged() -> (Stage, String) {
    let stage = Stage::new().await;
    let mut definition = definition("query");
    definition["inputSchema"]["properties"] = json!({
        "region": {"type": "string", "x-mcp-header": "Region"},
        "limit": {"type": "integer", "x-mcp-header": "limit"},
        "deep": {"type": "object", "properties": {"dry": {"type": "boolean", "x-mcp-header": "Dry"}}},
        "list": {"type": "array", "items": {"type": "string", "x-mcp-header": "Item"}},
        "ratio": {"type": "number", "x-mcp-header": "Ratio"},
    });
    let connection = serve_here("sql".into(), vec![definition], stage.seen.clone()).await;
    let tools = connection.tools().await.unwrap();
    let entry = ServerEntry { id: ServerId::new(), connection, tools, secrets: Arc::default() };
    stage.registry.insert("sql", entry);
    let token = stage.token(&["sql.query"]);
    (stage, token)
}

#[tokio::test]
async fn headers_that_repeat_arguments_must_say_the_same() {
    let (stage, token) = staged().await;
    let call = |arguments: Value| {
        stateless("/mcp/sql", &token, "tools/call", json!({"name": "query", "arguments": arguments}))
    };
    let full = || call(json!({"region": "us-west1", "limit": 42, "deep": {"dry": true}, "ratio": 1.5, "list": ["x"]}));
    let good = || full().set("mcp-param-region", "us-west1").set("mcp-param-limit", "42").set("mcp-param-dry", "true");
    for (what, draft) in [
        ("none", full()),
        ("one missing", good().without("mcp-param-dry")),
        ("another string", good().set("mcp-param-region", "us-west2")),
        ("another number", good().set("mcp-param-limit", "43")),
        ("another flag", good().set("mcp-param-dry", "True")),
        ("twice", good().add("mcp-param-region", "us-west1")),
        ("without argument", call(json!({"region": null})).set("mcp-param-region", "null")),
        ("bad base64", good().set("mcp-param-region", "=?base64?%?=")),
    ] {
        let reply = stage.send(draft.body_of()).await;
        assert_eq!((reply.status, reply.error_code()), (StatusCode::BAD_REQUEST, Some(-32020)), "{what}");
    }
    assert_eq!(stage.calls(), 0);
    for draft in [
        good(),
        good().set("mcp-param-limit", "42.0"),
        // "us-west1" in Base64.
        good().set("mcp-param-region", "=?base64?dXMtd2VzdDE=?="),
        call(json!({})),
        call(json!({"region": null})),
    ] {
        assert_eq!(stage.send(draft.body_of()).await.status, StatusCode::OK);
    }
    assert_eq!(stage.calls(), 5);
}
