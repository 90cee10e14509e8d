//! Where a request may come from, and what is not MCP.

use super::*;

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused() {
    let settings = Settings { hosts: vec!["box.example".into()], ..Settings::default() };
    let stage = Stage::with(settings).await;
    let token = stage.full();
    let ask = || stateless("/mcp", &token, "server/discover", json!({}));
    for (host, fine) in [
        ("127.0.0.1:9000", true),
        ("localhost", true),
        ("LOCALHOST:1", true),
        ("[::1]:80", true),
        ("box.example:8443", true),
        ("evil.example", false),
        ("127.0.0.1.evil.example", false),
        ("", false),
        ("localhost@evil.example", false),
        ("box.example.", false),
    ] {
        let reply = stage.send(ask().set("host", host).body_of()).await;
        assert_eq!(reply.status, if fine { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{host}");
    }
    for (origin, fine) in [
        ("http://127.0.0.1:8787", true),
        ("http://localhost:3000", true),
        ("https://box.example", true),
        ("https://evil.example", false),
        ("null", false),
        ("http://localhost.evil.example", false),
        ("http://localhost@evil.example", false),
        ("file://localhost", false),
    ] {
        let reply = stage.send(ask().set("origin", origin).body_of()).await;
        assert_eq!(reply.status, if fine { StatusCode::OK } else { StatusCode::FORBIDDEN }, "{origin}");
    }
}

#[tokio::test]
async fn a_body_must_be_said_to_be_json() {
    let stage = Stage::new().await;
    let token = stage.full();
    let ask = |kind: &str| stateless("/mcp", &token, "server/discover", json!({})).set("content-type", kind);
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/json-seq", ""] {
        let reply = stage.send(ask(kind).body_of()).await;
        assert_eq!(reply.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(stage.send(ask(kind).body_of()).await.status, StatusCode::OK, "{kind}");
    }
}

#[tokio::test]
async fn metrics_are_for_the_machine_itself() {
    let stage = Stage::new().await;
    stage.call(&stage.full(), "alpha__echo", json!({})).await;
    let ask = |host: &str, address: &str| {
        let request = axum::http::Request::get("/metrics").header("host", host).body(Body::empty()).unwrap();
        stage.endpoint.answer(request, &Peer::new(address.parse().unwrap()))
    };
    assert_eq!(ask("127.0.0.1", "192.0.2.1:5").await.status(), StatusCode::FORBIDDEN);
    assert_eq!(ask("evil.example", "127.0.0.1:5").await.status(), StatusCode::FORBIDDEN);
    let reply = ask("127.0.0.1", "127.0.0.1:5").await;
    let text = String::from_utf8(reply.into_body().collect().await.unwrap().to_bytes().into()).unwrap();
    assert!(text.contains("agentopia_tool_calls_total{outcome=\"answered\"} 1\n"), "{text}");
    assert!(text.contains("agentopia_servers 2\n"), "{text}");
}

#[tokio::test]
async fn the_control_plane_wakes_the_daemon_and_reads_its_logs() {
    use capability::control::{Action, sign};
    let stage = Stage::new().await;
    let ask = |path: &str, token: &str| {
        let method = if path == "/wake" { "POST" } else { "GET" };
        let request = axum::http::Request::builder().method(method).uri(path).header("host", "localhost");
        request.header("authorization", format!("Bearer {token}")).body(Body::empty()).unwrap()
    };
    let sign = |action, toolbox, at| sign(&stage.minter, toolbox, action, at).unwrap();
    let wake = sign(Action::Wake, stage.toolbox, now());
    let logs = sign(Action::Logs, stage.toolbox, now());
    for (path, token) in [
        ("/wake", logs.clone()),
        ("/wake", stage.full()),
        ("/wake", sign(Action::Wake, ToolboxId::new(), now())),
        ("/wake", sign(Action::Wake, stage.toolbox, now() - 100)),
        ("/servers/alpha/logs", wake.clone()),
        ("/servers/alpha/logs", stage.full()),
    ] {
        assert_eq!(stage.send(ask(path, &token)).await.status, StatusCode::UNAUTHORIZED, "{path}");
    }
    assert_eq!(*stage.woken.lock().unwrap(), 0);
    assert_eq!(stage.send(ask("/wake", &wake)).await.status, StatusCode::ACCEPTED);
    assert_eq!(stage.send(ask("/wake", &wake)).await.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(stage.send(ask("/servers/nobody/logs", &logs)).await.status, StatusCode::NOT_FOUND);
    let reply = stage.send(ask("/servers/alpha/logs", &logs)).await;
    assert_eq!(reply.text, "data: started\n\ndata: key is [redacted]\n\n");
}

#[tokio::test]
async fn health_needs_no_token() {
    let stage = Stage::new().await;
    let reply = stage.send(axum::http::Request::get("/healthz").body(Body::empty()).unwrap()).await;
    assert_eq!((reply.status, &*reply.text), (StatusCode::OK, "ok\n"));
}
