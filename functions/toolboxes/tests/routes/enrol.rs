//! A token makes a machine a toolbox, once.

use crate::app::{App, Toolbox};
use capability::SigningKey;
use http::StatusCode;
use serde_json::{Value, json};

async fn enrol(app: &App, token: &str) -> (StatusCode, Value) {
    let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap().public_key().to_string();
    let request = json!({"public_key": key, "gateway": "http://127.0.0.1:1/mcp", "version": "0.1.0"});
    app.call("POST", "/api/toolboxes/enrol", Some(token), request).await
}

async fn token(app: &App, name: &str) -> String {
    let user = app.user().await;
    let (_, made) = app.ask(user, "POST", "/api/toolboxes", json!({"name": name})).await;
    made["enrolment_token"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_works_once() {
    let app = App::new().await;
    let token = token(&app, "home").await;
    let (status, reply) = enrol(&app, &token).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(reply["capability_keys"], json!({"test": app.minter.key().public_key().to_string()}));
    assert_eq!(reply["control_plane"], "http://127.0.0.1:1");
    assert_eq!(enrol(&app, &token).await.0, 401);
}

#[tokio::test]
async fn of_many_at_once_one_succeeds() {
    let app = App::new().await;
    let token = token(&app, "home").await;
    let tries = futures::future::join_all((0..8).map(|_| enrol(&app, &token))).await;
    assert_eq!(tries.iter().filter(|(status, _)| *status == 200).count(), 1);
    assert_eq!(tries.iter().filter(|(status, _)| *status == 401).count(), 7);
}

#[tokio::test]
async fn a_token_ends_after_an_hour() {
    let app = App::new().await;
    let token = token(&app, "home").await;
    app.db.run("update app.toolbox set enrolment_expires_at = now() - interval '1 second'").await;
    assert_eq!(enrol(&app, &token).await.0, 401);
    app.db.run("update app.toolbox set enrolment_expires_at = now() + interval '1 second'").await;
    assert_eq!(enrol(&app, &token).await.0, 200);
}

#[tokio::test]
async fn the_database_never_holds_a_token() {
    let app = App::new().await;
    let token = token(&app, "home").await;
    let row = app.db.value("select to_jsonb(t)::text from app.toolbox t").await.unwrap();
    let random = token.strip_prefix("agentopia_enrol_").unwrap();
    assert!(!row.contains(random));
}

#[tokio::test]
async fn what_is_not_a_key_or_an_address_is_refused_and_the_token_stays_good() {
    let app = App::new().await;
    let token = token(&app, "home").await;
    let good = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap().public_key().to_string();
    for (key, gateway) in [("AAAA", "http://127.0.0.1:1"), (good.as_str(), "javascript:alert(1)")] {
        let request = json!({"public_key": key, "gateway": gateway, "version": "0.1.0"});
        assert_eq!(app.call("POST", "/api/toolboxes/enrol", Some(&token), request).await.0, 422);
    }
    assert_eq!(enrol(&app, &token).await.0, 200);
}

#[tokio::test]
async fn only_the_enrolled_key_may_check_in() {
    let app = App::new().await;
    let user = app.user().await;
    let (one, other) = (app.enrolled(user, "one", "http://a:1").await, app.enrolled(user, "other", "http://a:1").await);
    assert_eq!(app.checkin(&one, json!({})).await.0, 200);
    // The other box's key, in the name of the first.
    let imposter = Toolbox { id: one.id, ..other };
    assert_eq!(app.checkin(&imposter, json!({})).await.0, 401);
}

#[tokio::test]
async fn only_an_enrolment_says_which_certificate_is_pinned() {
    let app = App::new().await;
    let (first, second) = ("0a".repeat(32), "0b".repeat(32));
    let pinned = async || app.db.value("select certificate from app.toolbox").await;
    let user = app.user().await;
    let (_, made) = app.ask(user, "POST", "/api/toolboxes", json!({"name": "home"})).await;
    let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
    let mut request = json!({"gateway": "https://box.example:8788/mcp", "version": "0.1.0"});
    request["public_key"] = key.public_key().to_string().into();
    let enrol = async |certificate: &str| {
        let mut request = request.clone();
        request["certificate"] = certificate.into();
        app.call("POST", "/api/toolboxes/enrol", made["enrolment_token"].as_str(), request).await.0
    };
    for bad in ["", "0a", &"0A".repeat(32), &"0g".repeat(32), &"0a".repeat(33)] {
        assert_eq!(enrol(bad).await, 422, "{bad}");
    }
    assert_eq!(enrol(&first).await, 200);
    assert_eq!(pinned().await.as_deref(), Some(first.as_str()));

    // Neither the token a second time nor the toolbox's own key puts another in its place.
    assert_eq!(enrol(&second).await, 401);
    let home = Toolbox { id: serde_json::from_value(made["id"].clone()).unwrap(), owner: user, key };
    assert_eq!(app.checkin(&home, json!({"certificate": second})).await.0, 422);
    assert_eq!(app.checkin(&home, json!({"gateway": "https://elsewhere.example/mcp"})).await.0, 200);
    assert_eq!(pinned().await.as_deref(), Some(first.as_str()));
}
