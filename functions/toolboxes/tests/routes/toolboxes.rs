//! Making, seeing and forgetting toolboxes; nobody sees another's.

use crate::app::{App, npx};
use serde_json::{Value, json};

#[tokio::test]
async fn a_toolbox_is_made_seen_and_forgotten() {
    let app = App::new().await;
    let user = app.user().await;
    let (status, made) = app.ask(user, "POST", "/api/toolboxes", json!({"name": " home "})).await;
    assert_eq!(status, 201);
    let path = format!("/api/toolboxes/{}", made["id"].as_str().unwrap());
    let (status, seen) = app.ask(user, "GET", &path, Value::Null).await;
    assert_eq!((status.as_u16(), &seen["name"], &seen["state"]), (200, &json!("home"), &json!("pending")));
    let (_, list) = app.ask(user, "GET", "/api/toolboxes", Value::Null).await;
    assert_eq!(list, json!([seen]));
    assert_eq!(app.ask(user, "DELETE", &path, Value::Null).await.0, 204);
    assert_eq!(app.ask(user, "GET", &path, Value::Null).await.0, 404);
    assert_eq!(app.ask(user, "GET", "/api/toolboxes", Value::Null).await.1, json!([]));
}

#[tokio::test]
async fn what_cannot_be_a_toolbox_is_refused() {
    let app = App::new().await;
    let user = app.user().await;
    for (body, status) in [
        (json!({"name": ""}), 422),
        (json!({"name": "x".repeat(61)}), 422),
        (json!({"name": "a", "owner": "b"}), 422),
        (json!({}), 422),
    ] {
        let (seen, problem) = app.ask(user, "POST", "/api/toolboxes", body).await;
        assert_eq!(seen, status, "{problem}");
        assert!(problem["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{problem}");
    }
    assert_eq!(app.ask(user, "POST", "/api/toolboxes", json!({"name": "a"})).await.0, 201);
    assert_eq!(app.ask(user, "POST", "/api/toolboxes", json!({"name": "a"})).await.0, 409);
    // Another user's names are free.
    let other = app.user().await;
    assert_eq!(app.ask(other, "POST", "/api/toolboxes", json!({"name": "a"})).await.0, 201);
}

#[tokio::test]
async fn another_users_toolbox_is_as_if_it_were_not_there() {
    let app = App::new().await;
    let (owner, stranger) = (app.user().await, app.user().await);
    let toolbox = app.enrolled(owner, "home", "http://127.0.0.1:1").await;
    let server = app.deploy(&toolbox, npx("a-server")).await;
    let at = format!("/api/toolboxes/{}", toolbox.id);
    let sid = server["id"].as_str().unwrap();
    // Deletions last, so that the owner's turn finds something.
    let calls = [
        ("GET", at.clone(), Value::Null),
        ("GET", format!("{at}/servers"), Value::Null),
        ("POST", format!("{at}/servers"), npx("b-server")),
        ("GET", format!("{at}/servers/{sid}"), Value::Null),
        ("GET", format!("{at}/servers/{sid}/logs"), Value::Null),
        ("POST", format!("{at}/servers/{sid}/restart"), Value::Null),
        ("DELETE", format!("{at}/servers/{sid}"), Value::Null),
        ("DELETE", at, Value::Null),
    ];
    for (method, path, body) in &calls {
        let (status, problem) = app.ask(stranger, method, path, body.clone()).await;
        assert_eq!(status, 404, "{method} {path}: {problem}");
        // The same words as for what never was.
        let nowhere = path.replace(&toolbox.id.to_string(), &protocol::ids::ToolboxId::new().to_string());
        let (status, never) = app.ask(stranger, method, &nowhere, body.clone()).await;
        assert_eq!((status.as_u16(), &never["detail"]), (404, &problem["detail"]), "{method} {path}");
    }
    assert_eq!(app.ask(stranger, "GET", "/api/toolboxes", Value::Null).await.1, json!([]));
    // The positive control: its owner may do each of these.
    for (method, path, body) in calls {
        let (status, reply) = app.ask(owner, method, &path, body).await;
        assert!(status.is_success(), "{method} {path}: {status} {reply}");
    }
}

#[tokio::test]
async fn nothing_answers_without_a_token() {
    let app = App::new().await;
    let id = protocol::ids::ToolboxId::new().to_string();
    for route in ::toolboxes::ROUTES {
        let path = route.path.replace("{id}", &id).replace("{sid}", &id);
        for bearer in [None, Some("nonsense")] {
            let (status, problem) = app.call(route.method, &path, bearer, json!({})).await;
            // The enrolment's bearer is looked at after the body, which is none here.
            let expected = if route.path.ends_with("/enrol") && bearer.is_some() { 422 } else { 401 };
            assert_eq!(status, expected, "{} {path}: {problem}", route.method);
        }
    }
}
