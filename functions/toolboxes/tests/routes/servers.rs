//! Deploying without the chat, and the logs.

use crate::app::{App, npx, running, tool};
use axum::{Router, extract::Path, http::HeaderMap, routing::get};
use capability::{Verifier, control};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

#[tokio::test]
async fn names_are_unique_at_a_toolbox() {
    let app = App::new().await;
    let home = app.enrolled(app.user().await, "home", "http://127.0.0.1:1").await;
    let mut names = Vec::new();
    for args in [json!([]), json!(["a"]), json!(["b"])] {
        let mut body = npx("@modelcontextprotocol/server-memory");
        body["args"] = args;
        names.push(app.deploy(&home, body).await["name"].as_str().unwrap().to_owned());
    }
    assert_eq!(names, ["memory", "memory-2", "memory-3"]);
    let mut body = npx("@modelcontextprotocol/server-memory");
    body["name"] = json!("facts");
    assert_eq!(app.deploy(&home, body).await["name"], "facts");
}

#[tokio::test]
async fn deploying_the_same_again_shares_it_and_tries_a_failed_one_again() {
    let app = App::new().await;
    let home = app.enrolled(app.user().await, "home", "http://127.0.0.1:1").await;
    let first = app.deploy(&home, npx("a")).await;
    let again = app.deploy(&home, npx("a")).await;
    assert_eq!((&again["id"], &again["revision"]), (&first["id"], &json!(0)));
    let failed = json!([{"id": first["id"], "state": "failed", "revision": 0, "exit_code": 1, "log_tail": ["boom"]}]);
    app.checkin(&home, json!({"servers": failed})).await;
    let seen = app.server(&home, &first["id"]).await;
    assert_eq!((&seen["status"]["exit_code"], &seen["status"]["log_tail"]), (&json!(1), &json!(["boom"])));
    let again = app.deploy(&home, npx("a")).await;
    assert_eq!(
        (&again["id"], &again["revision"], &again["status"]["state"]),
        (&first["id"], &json!(1), &json!("pending"))
    );
}

#[tokio::test]
async fn what_would_shape_its_own_start_is_refused() {
    let app = App::new().await;
    let home = app.enrolled(app.user().await, "home", "http://127.0.0.1:1").await;
    let path = format!("/api/toolboxes/{}/servers", home.id);
    let with = |key: &str, value: Value| {
        let mut body = npx("a");
        body[key] = value;
        body
    };
    for body in [
        npx("--yes"),
        npx("../../etc"),
        with("name", json!("Not A Name")),
        with("name", json!("mcp")),
        with("env", json!({"LD_PRELOAD": "x"})),
        with("secrets", json!(["PATH"])),
        with("hosts", json!(["http://example.com"])),
        with("privileged", json!(true)),
        json!({"source": {"kind": "oci", "image": "a b"}}),
        json!({"source": {"kind": "remote", "url": "http://169.254.169.254/"}}),
    ] {
        let (status, problem) = app.ask(home.owner, "POST", &path, body.clone()).await;
        assert_eq!(status, 422, "{body}: {problem}");
    }
    app.deploy(&home, with("env", json!({"LEVEL": "info"}))).await;
}

#[tokio::test]
async fn a_server_that_is_deleted_leaves_the_desired_state_and_ends_its_capabilities() {
    let app = App::new().await;
    let home = app.enrolled(app.user().await, "home", "http://127.0.0.1:1").await;
    let server = app.deploy(&home, npx("a")).await;
    let id = &server["id"];
    app.checkin(&home, json!({"servers": [running(id, 0, json!([tool("get", "a")]))]})).await;
    let path = format!("/api/toolboxes/{}/servers/{}", home.id, id.as_str().unwrap());
    assert_eq!(app.ask(home.owner, "DELETE", &path, Value::Null).await.0, 204);
    let (_, reply) = app.checkin(&home, json!({"sequence": 2, "known_generation": 1})).await;
    assert_eq!(reply["desired"], json!({"generation": 2, "servers": []}));
    assert_eq!(reply["revocations"]["sequence"], 1);
    assert_eq!(reply["revocations"]["epochs"].as_object().unwrap().values().collect::<Vec<_>>(), [1]);
    assert_eq!(app.ask(home.owner, "DELETE", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn without_a_live_toolbox_the_last_lines_are_shown() {
    let app = App::new().await;
    let home = app.enrolled(app.user().await, "home", "http://127.0.0.1:1").await;
    let server = app.deploy(&home, npx("a")).await;
    let status =
        json!({"id": server["id"], "state": "failed", "revision": 0, "log_tail": ["one", "two"], "detail": "it broke"});
    app.checkin(&home, json!({"servers": [status]})).await;
    let path = format!("/api/toolboxes/{}/servers/{}/logs", home.id, server["id"].as_str().unwrap());
    let (code, text) = app.ask_text(home.owner, &path).await;
    assert_eq!(code, 200);
    for line in ["data: one\n", "data: two\n", "data: it broke\n", "event: end\n"] {
        assert!(text.contains(line), "{text}");
    }
}

/// A gateway that keeps the token which it was shown.
async fn gateway(shown: Arc<Mutex<Option<String>>>) -> String {
    let logs = move |Path(server): Path<String>, headers: HeaderMap| async move {
        *shown.lock().unwrap() = headers.get("authorization").map(|value| value.to_str().unwrap().to_owned());
        ([("content-type", "text/event-stream")], format!("data: live from {server}\n\n"))
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/servers/{server}/logs", get(logs));
    tokio::spawn(async move { axum::serve(listener, router).await });
    format!("http://{address}/mcp")
}

#[tokio::test]
async fn a_live_log_is_passed_on_under_a_token_for_that_toolbox() {
    let app = App::new().await;
    let shown = Arc::new(Mutex::new(None));
    let at = gateway(shown.clone()).await;
    let home = app.enrolled(app.user().await, "home", &at).await;
    let server = app.deploy(&home, npx("mcp-server-x")).await;
    let path = format!("/api/toolboxes/{}/servers/{}/logs", home.id, server["id"].as_str().unwrap());
    let (status, text) = app.ask_text(home.owner, &path).await;
    assert_eq!((status.as_u16(), text.as_str()), (200, "data: live from x\n\n"));
    let shown = shown.lock().unwrap().clone().unwrap();
    let keys = BTreeMap::from([("test".to_owned(), app.minter.key().public_key().to_string())]);
    let verifier = Verifier::new(&keys, home.id, home.owner).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let action = control::verify(&verifier, shown.strip_prefix("Bearer ").unwrap(), now);
    assert_eq!(action, Ok(control::Action::Logs));
}
