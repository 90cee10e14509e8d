//! 2025-06-18 and 2025-11-25: a handshake, then a session.

use super::*;

async fn open(stage: &Stage, path: &str, token: &str, version: &str) -> (Reply, String) {
    let params = json!({"protocolVersion": version, "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let reply = stage.send(plain(path, token, body).body_of()).await;
    let session = header_of(&reply, "mcp-session-id").unwrap_or_default().to_owned();
    (reply, session)
}

fn echo(path: &str, token: &str, session: &str, id: Value) -> Draft {
    let name = if path == "/mcp" { "alpha__echo" } else { "echo" };
    let params = json!({"name": name, "arguments": {"text": "x"}});
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    session_headers(plain(path, token, body), session)
}

#[tokio::test]
async fn both_revisions_are_spoken() {
    let stage = Stage::new().await;
    let token = stage.full();
    for (asked, given) in
        [("2025-06-18", "2025-06-18"), ("2025-11-25", "2025-11-25"), ("2026-07-28", "2025-11-25"), ("x", "2025-11-25")]
    {
        let (reply, session) = open(&stage, "/mcp", &token, asked).await;
        assert_eq!(reply.json()["result"]["protocolVersion"], given);
        let note = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
        let reply = stage.send(session_headers(plain("/mcp", &token, note), &session).body_of()).await;
        assert_eq!(reply.status, StatusCode::ACCEPTED);
        let reply = stage.send(echo("/mcp", &token, &session, json!("id-1")).body_of()).await;
        assert_eq!(text_of(&reply), "alpha:x");
        assert_eq!(reply.json()["id"], "id-1");
        assert!(reply.json()["result"].get("resultType").is_none());
    }
}

#[tokio::test]
async fn a_session_is_its_agents_and_of_its_address() {
    let stage = Stage::new().await;
    let token = stage.full();
    let (_, session) = open(&stage, "/mcp", &token, "2025-11-25").await;
    let reply = stage.send(echo("/mcp", &token, &session, json!(1)).without("mcp-session-id").body_of()).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    let reply = stage.send(echo("/mcp", &token, "unknown", json!(1)).body_of()).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let reply = stage.send(echo("/mcp/alpha", &token, &session, json!(1)).body_of()).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    let other = Bearer { agent: AgentId::new(), ..stage.bearer() };
    let grants = vec![stage.grant("alpha", "echo")];
    let other = stage.minter.mint(&other.claims(grants, now(), None).unwrap()).unwrap();
    let reply = stage.send(echo("/mcp", &other, &session, json!(1)).body_of()).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(stage.calls(), 0);
    // A newer token of the same agent goes on with it.
    let renewed = stage.token(&["alpha.echo"]);
    assert_eq!(text_of(&stage.send(echo("/mcp", &renewed, &session, json!(1)).body_of()).await), "alpha:x");
}

#[tokio::test]
async fn a_session_ends_when_it_is_deleted() {
    let stage = Stage::new().await;
    let token = stage.full();
    let (_, session) = open(&stage, "/mcp", &token, "2025-11-25").await;
    let delete = |session: &str| {
        let request = axum::http::Request::delete("/mcp").header("host", "localhost");
        let request = request.header("authorization", format!("Bearer {token}")).header("mcp-session-id", session);
        stage.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(delete(&session).await.status, StatusCode::NO_CONTENT);
    assert_eq!(delete(&session).await.status, StatusCode::NOT_FOUND);
    assert_eq!(stage.send(echo("/mcp", &token, &session, json!(1)).body_of()).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_cancelled_call_ends_and_the_server_is_told() {
    let stage = Arc::new(Stage::new().await);
    let token = stage.full();
    let (_, session) = open(&stage, "/mcp", &token, "2025-11-25").await;
    let params = json!({"name": "alpha__slow", "arguments": {"ms": 60_000}});
    let body = json!({"jsonrpc": "2.0", "id": "a", "method": "tools/call", "params": params});
    let slow = session_headers(plain("/mcp", &token, body), &session);
    let (caller, again) = (stage.clone(), echo("/mcp", &token, &session, json!("a")));
    let call = tokio::spawn(async move { caller.send(slow.body_of()).await });
    while stage.calls() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Its id cannot be used for a second call meanwhile.
    assert_eq!(stage.send(again.body_of()).await.error_code(), Some(-32600));
    let cancel = |id: Value| {
        let note = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
        session_headers(plain("/mcp", &token, note), &session)
    };
    stage.send(cancel(json!("b")).body_of()).await;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!call.is_finished());
    assert_eq!(stage.send(cancel(json!("a")).body_of()).await.status, StatusCode::ACCEPTED);
    assert!(call.await.unwrap().error_code().is_some());
    while !stage.seen.lock().unwrap().iter().any(|line| line.contains("notifications/cancelled")) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(stage.records.take(10).0[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn the_stream_of_a_session_is_there_and_only_there() {
    let stage = Stage::new().await;
    let claims = stage.bearer().claims(vec![stage.grant("alpha", "echo")], now(), Some(now() + 4)).unwrap();
    let token = stage.minter.mint(&claims).unwrap();
    let (_, session) = open(&stage, "/mcp", &token, "2025-11-25").await;
    let get = |headers: &[(&str, &str)]| {
        let mut request = axum::http::Request::get("/mcp").header("host", "localhost");
        request = request.header("authorization", format!("Bearer {token}"));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        stage.send(request.body(Body::empty()).unwrap())
    };
    assert_eq!(get(&[]).await.status, StatusCode::BAD_REQUEST);
    assert_eq!(get(&[("mcp-protocol-version", "2026-07-28")]).await.status, StatusCode::METHOD_NOT_ALLOWED);
    let json = get(&[("mcp-session-id", &*session), ("accept", "application/json")]).await;
    assert_eq!(json.status, StatusCode::NOT_ACCEPTABLE);
    let registry = stage.registry.clone();
    tokio::spawn(async move {
        tokio::time::sleep(Duration::from_millis(300)).await;
        registry.remove("beta");
    });
    let reply = get(&[("mcp-session-id", &*session), ("accept", "text/event-stream")]).await;
    assert_eq!(header_of(&reply, "content-type"), Some("text/event-stream"));
    assert!(reply.text.contains("notifications/tools/list_changed"), "{}", reply.text);
}

#[tokio::test]
async fn a_session_that_nobody_uses_is_over_and_one_with_a_stream_is_not() {
    let stage = Stage::new().await;
    let token = stage.full();
    let (_, idle) = open(&stage, "/mcp", &token, "2025-11-25").await;
    let (_, heard) = open(&stage, "/mcp", &token, "2025-11-25").await;
    let get = axum::http::Request::get("/mcp").header("host", "localhost").header("mcp-session-id", &heard);
    let get = get.header("authorization", format!("Bearer {token}")).header("accept", "text/event-stream");
    let stream = stage.endpoint.answer(get.body(Body::empty()).unwrap(), &somebody()).await;
    assert_eq!(stream.status(), StatusCode::OK);
    // Two hours later, by the control plane's clock.
    let later = now() + 7200;
    stage.verifier.set_revocations(&Revocations { sequence: 1, ..Revocations::default() }, later).unwrap();
    let grants = vec![stage.grant("alpha", "echo")];
    let token = stage.minter.mint(&stage.bearer().claims(grants, later, None).unwrap()).unwrap();
    open(&stage, "/mcp", &token, "2025-11-25").await;
    let reply = stage.send(echo("/mcp", &token, &idle, json!(1)).body_of()).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
    assert_eq!(text_of(&stage.send(echo("/mcp", &token, &heard, json!(1)).body_of()).await), "alpha:x");
    drop(stream);
}

#[tokio::test]
async fn what_changes_between_two_streams_of_a_session_is_told_with_the_next() {
    let stage = Stage::new().await;
    let token = stage.full();
    let (_, session) = open(&stage, "/mcp", &token, "2025-11-25").await;
    let first = async || {
        let get = axum::http::Request::get("/mcp").header("host", "localhost").header("mcp-session-id", &session);
        let get = get.header("authorization", format!("Bearer {token}")).header("accept", "text/event-stream");
        let mut body = stage.endpoint.answer(get.body(Body::empty()).unwrap(), &somebody()).await.into_body();
        let frame = tokio::time::timeout(Duration::from_millis(200), body.frame()).await.ok()??;
        Some(String::from_utf8(frame.unwrap().into_data().unwrap().into()).unwrap())
    };
    assert_eq!(first().await, None, "nothing has changed");
    stage.registry.remove("beta");
    assert!(first().await.is_some_and(|told| told.contains("notifications/tools/list_changed")));
    assert_eq!(first().await, None, "it was told");
    stage.server("beta", &["echo"]).await;
    // A client that has looked by itself knows.
    let list = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}});
    stage.send(session_headers(plain("/mcp", &token, list), &session).body_of()).await;
    assert_eq!(first().await, None);
}
