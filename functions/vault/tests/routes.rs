//! The routes over a real database, through the whole application.

use axum::{Router, body::Body};
use capability::{Minter, PublicKey, SigningKey, device};
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use protocol::{
    Timestamp,
    ids::*,
    toolbox::{CredentialsReply, CredentialsRequest},
};
use sealing::{KeyFile, delivery::Recipient};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::TestDatabase;
use tower::ServiceExt;
use vault::{ROUTES, State, router};

struct Scene {
    db: TestDatabase,
    app: Router,
    tokens: edge::testing::Tokens,
    owner: UserId,
    platform: PublicKey,
    _folder: tempfile::TempDir,
}

/// A toolbox that has enrolled, with one server.
struct Machine {
    id: ToolboxId,
    server: ServerId,
    key: SigningKey,
}

fn key() -> SigningKey {
    SigningKey::from_pkcs8(&SigningKey::generate().expect("random")).expect("key")
}

fn now() -> i64 {
    Timestamp::now().as_second()
}

impl Scene {
    async fn new() -> Self {
        let db = testkit::database().await;
        let folder = tempfile::tempdir().expect("a folder");
        let wrap = KeyFile::open_or_create(&folder.path().join("vault.key")).expect("a key file");
        let minter = Minter::from_pkcs8("k1", &SigningKey::generate().expect("random")).expect("key");
        let platform = minter.key().public_key();
        let (context, tokens) = edge::testing::context(db.database.clone());
        let state = State::local(context.clone(), Arc::new(wrap), Arc::new(minter));
        let app = edge::app(router(state), &[ROUTES], &context);
        let owner = testkit::user(&db).await;
        Self { db, app, tokens, owner, platform, _folder: folder }
    }

    async fn send(&self, method: &str, path: &str, token: &str, body: Value) -> (StatusCode, Value) {
        let request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        let request =
            if token.is_empty() { request } else { request.header("authorization", format!("Bearer {token}")) };
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let response = self.app.clone().oneshot(request.body(body).expect("a request")).await.expect("an answer");
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body").to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn user(&self, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.send(method, path, &self.tokens.user(self.owner), body).await
    }

    async fn store(&self, server: &str, key: &str, value: &str) -> Value {
        let body = json!({"server": server, "key": key, "value": value});
        let (status, reply) = self.user("POST", "/api/vault/credentials", body).await;
        assert_eq!(status, StatusCode::CREATED, "{reply}");
        reply
    }

    async fn toolbox(&self, owner: UserId) -> Machine {
        let made = Machine { id: ToolboxId::new(), server: ServerId::new(), key: key() };
        let (id, server, public) = (made.id, made.server, made.key.public_key());
        self.db
            .run(&format!(
                "insert into app.toolbox (id, owner, name, public_key) values ('{id}', '{owner}', '{id}', '{public}');
                 insert into app.server (id, owner, toolbox_id, name, catalog_name, source, secrets)
                   values ('{server}', '{owner}', '{id}', 'it', 'io.example/server', '{{}}', '{{A,B}}')"
            ))
            .await;
        made
    }

    async fn release(&self, toolbox: &Machine, request: &CredentialsRequest) -> (StatusCode, Value) {
        let token = device::sign(&toolbox.key, toolbox.id, now()).expect("signed");
        self.send("POST", "/api/toolboxes/credentials", &token, json!(request)).await
    }
}

#[tokio::test]
async fn a_credential_from_the_user_to_the_toolbox() {
    let scene = Scene::new().await;
    let toolbox = scene.toolbox(scene.owner).await;
    let stored = scene.store("io.example/server", "A", "hunter2").await;
    assert_eq!((&stored["version"], &stored["key"]), (&json!(1), &json!("A")));

    let (recipient, request) = Recipient::new(toolbox.id, toolbox.server, &toolbox.key);
    let (status, reply) = scene.release(&toolbox, &request).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    assert!(!reply.to_string().contains("hunter2"));
    let reply: CredentialsReply = serde_json::from_value(reply).expect("a reply");
    assert_eq!(reply.missing, ["B"]);
    let keys = |kid: &str| (kid == "k1").then_some(scene.platform);
    let opened = recipient.open(&reply.sealed[0], scene.owner, keys, now()).expect("opened");
    assert_eq!((opened.key.as_str(), opened.value.expose()), ("A", "hunter2"));

    let (_, audit) = scene.user("GET", "/api/vault/audit", Value::Null).await;
    let actions: Vec<_> = audit.as_array().expect("a list").iter().map(|row| row["action"].clone()).collect();
    assert_eq!(actions, ["release", "create"]);
    assert_eq!(audit[0]["by"], json!(format!("toolbox:{}", toolbox.id)));
}

#[tokio::test]
async fn a_value_never_comes_back_to_a_user() {
    let scene = Scene::new().await;
    let id = scene.store("s", "A", "hunter2").await["id"].as_str().expect("an id").to_owned();
    let mut seen = String::new();
    for (method, path, body) in [
        ("POST", "/api/vault/credentials".into(), json!({"server": "s", "key": "A", "value": "hunter2"})),
        ("GET", "/api/vault/credentials".into(), Value::Null),
        ("POST", format!("/api/vault/credentials/{id}/rotate"), json!({"value": "hunter2"})),
        ("GET", "/api/vault/audit".to_owned(), Value::Null),
    ] {
        let (status, reply) = scene.user(method, &path, body).await;
        assert!(status.is_success(), "{method} {path}: {reply}");
        seen += &reply.to_string();
    }
    assert!(!seen.contains("hunter2") && seen.contains("\"version\":3"));
    // Nor in a complaint about the body.
    for body in [
        json!({"server": "s", "key": "A", "value": "hunter2", "extra": 1}),
        json!({"server": "s", "key": "A", "value": ["hunter2"]}),
        json!({"server": "s", "key": "", "value": "hunter2"}),
    ] {
        let (status, reply) = scene.user("POST", "/api/vault/credentials", body).await;
        assert!(status.is_client_error() && !reply.to_string().contains("hunter2"), "{reply}");
    }
}

#[tokio::test]
async fn list_rotate_and_delete() {
    let scene = Scene::new().await;
    let stored = scene.store("s", "A", "one").await;
    let path = format!("/api/vault/credentials/{}", stored["id"].as_str().expect("an id"));
    let (_, rotated) = scene.user("POST", &format!("{path}/rotate"), json!({"value": "two"})).await;
    assert_eq!(rotated["version"], json!(2));
    let (_, list) = scene.user("GET", "/api/vault/credentials", Value::Null).await;
    assert_eq!(list, json!([rotated]));
    let (_, audit) = scene.user("GET", "/api/vault/audit?limit=1", Value::Null).await;
    assert_eq!((audit.as_array().map(Vec::len), &audit[0]["action"]), (Some(1), &json!("rotate")));
    assert_eq!(scene.user("DELETE", &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    assert_eq!(scene.user("DELETE", &path, Value::Null).await.0, StatusCode::NOT_FOUND);
    assert_eq!(scene.user("GET", "/api/vault/credentials", Value::Null).await.1, json!([]));
}

#[tokio::test]
async fn bad_values_are_refused_with_a_fix() {
    let scene = Scene::new().await;
    let stored = scene.store("s", "A", "one").await;
    let rotate = format!("/api/vault/credentials/{}/rotate", stored["id"].as_str().expect("an id"));
    for (path, body) in [
        ("/api/vault/credentials", json!({"server": "s", "key": "A", "value": ""})),
        ("/api/vault/credentials", json!({"server": "s", "key": "A", "value": "a".repeat(64 * 1024 + 1)})),
        (
            "/api/vault/credentials",
            json!({"server": "s", "key": "A", "value": "x", "expires_at": "2020-01-01T00:00:00Z"}),
        ),
        (rotate.as_str(), json!({"value": ""})),
    ] {
        let (status, reply) = scene.user("POST", path, body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{reply}");
        assert!(reply["fix"].is_string());
    }
    assert_eq!(scene.user("GET", "/api/vault/credentials", Value::Null).await.1, json!([stored]));
}

#[tokio::test]
async fn without_a_token_nothing_and_with_anothers_404() {
    let scene = Scene::new().await;
    let stored = scene.store("s", "A", "one").await;
    let id = stored["id"].as_str().expect("an id");
    let other = scene.tokens.user(testkit::user(&scene.db).await);
    for route in ROUTES {
        let path = route.path.replace("{id}", id);
        let (status, _) = scene.send(route.method, &path, "", json!({})).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {path}", route.method);
        if route.path.contains("{id}") {
            let (status, reply) = scene.send(route.method, &path, &other, json!({"value": "x"})).await;
            assert_eq!(status, StatusCode::NOT_FOUND, "{} {path}", route.method);
            assert!(reply["fix"].is_string());
        }
    }
    // A user's token is no toolbox's.
    let (status, _) = scene.user("POST", "/api/toolboxes/credentials", json!({})).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
    assert_eq!(scene.user("GET", "/api/vault/credentials", Value::Null).await.1, json!([stored]));
}

#[tokio::test]
async fn a_toolbox_gets_only_what_its_own_servers_need() {
    let scene = Scene::new().await;
    let (mine, second) = (scene.toolbox(scene.owner).await, scene.toolbox(scene.owner).await);
    let theirs = scene.toolbox(testkit::user(&scene.db).await).await;
    scene.store("io.example/server", "A", "one").await;
    for asking in [&second, &theirs] {
        let (_, request) = Recipient::new(asking.id, mine.server, &asking.key);
        assert_eq!(scene.release(asking, &request).await.0, StatusCode::NOT_FOUND);
    }
    let (_, request) = Recipient::new(theirs.id, theirs.server, &theirs.key);
    let (status, reply) = scene.release(&theirs, &request).await;
    assert_eq!((status, &reply["sealed"]), (StatusCode::OK, &json!([])));
    let (_, request) = Recipient::new(mine.id, mine.server, &mine.key);
    let (status, reply) = scene.release(&mine, &request).await;
    assert_eq!((status, reply["sealed"].as_array().map(Vec::len)), (StatusCode::OK, Some(1)));
}

#[tokio::test]
async fn a_recipient_key_that_the_toolbox_did_not_sign_gets_nothing() {
    let scene = Scene::new().await;
    let toolbox = scene.toolbox(scene.owner).await;
    scene.store("io.example/server", "A", "one").await;
    let (_, good) = Recipient::new(toolbox.id, toolbox.server, &toolbox.key);
    let (_, foreign) = Recipient::new(toolbox.id, toolbox.server, &key());
    assert_eq!(scene.release(&toolbox, &foreign).await.0, StatusCode::FORBIDDEN);
    let swapped = CredentialsRequest { recipient_key: foreign.recipient_key.clone(), ..good.clone() };
    assert_eq!(scene.release(&toolbox, &swapped).await.0, StatusCode::FORBIDDEN);
    let short = CredentialsRequest { recipient_key: "AAAA".into(), ..good.clone() };
    assert_eq!(scene.release(&toolbox, &short).await.0, StatusCode::BAD_REQUEST);
    assert_eq!(scene.db.value("select count(*) from app.access where action = 'release'").await.as_deref(), Some("0"));
    assert_eq!(scene.release(&toolbox, &good).await.0, StatusCode::OK);
}

#[tokio::test]
async fn rows_that_were_tampered_with_are_a_500_without_a_value() {
    let scene = Scene::new().await;
    let toolbox = scene.toolbox(scene.owner).await;
    scene.store("io.example/server", "A", "one").await;
    scene
        .db
        .run("update app.credential_version set value = jsonb_set(value, '{ciphertext}', '\"cGxhaW4gdGV4dA\"')")
        .await;
    let (_, request) = Recipient::new(toolbox.id, toolbox.server, &toolbox.key);
    let (status, reply) = scene.release(&toolbox, &request).await;
    assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
    assert!(reply["fix"].is_string() && reply["sealed"].is_null());
}

#[tokio::test]
async fn an_api_key_acts_as_its_user_until_it_is_deleted() {
    let scene = Scene::new().await;
    scene.store("github", "GITHUB_TOKEN", "t").await;
    let (status, made) = scene.user("POST", "/api/vault/keys", json!({"name": " nightly build "})).await;
    assert_eq!(status, StatusCode::CREATED, "{made}");
    let key = made["key"].as_str().expect("shown once");
    assert!(key.starts_with("agentopia_key_") && key.len() > 60, "{key}");

    let (status, held) = scene.send("GET", "/api/vault/credentials", key, Value::Null).await;
    assert_eq!((status, held[0]["key"].as_str()), (StatusCode::OK, Some("GITHUB_TOKEN")), "{held}");
    let (_, listed) = scene.user("GET", "/api/vault/keys", Value::Null).await;
    assert_eq!(listed[0]["name"], "nightly build");
    assert!(listed[0]["used_at"].is_string(), "{listed}");
    assert!(!listed.to_string().contains(key), "it is shown once");
    let stored = scene.db.value("select row_to_json(k)::text from app.api_key k").await.expect("a row");
    assert!(!stored.contains(&key["agentopia_key_".len()..]), "only its hash is kept");

    let path = format!("/api/vault/keys/{}", made["id"].as_str().expect("an id"));
    assert_eq!(scene.user("DELETE", &path, Value::Null).await.0, StatusCode::NO_CONTENT);
    let (status, reply) = scene.send("GET", "/api/vault/credentials", key, Value::Null).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED, "{reply}");
    assert_eq!(scene.user("DELETE", &path, Value::Null).await.0, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn an_api_key_ends_when_it_was_to_end_and_one_that_was_never_made_is_none() {
    let scene = Scene::new().await;
    let body = json!({"name": "short", "expires_at": Timestamp::from_second(now() + 60).expect("a time")});
    let (_, made) = scene.user("POST", "/api/vault/keys", body).await;
    let key = made["key"].as_str().expect("shown once");
    assert_eq!(scene.send("GET", "/api/vault/keys", key, Value::Null).await.0, StatusCode::OK);
    scene.db.run("update app.api_key set expires_at = now()").await;
    for refused in [key, "agentopia_key_", &format!("agentopia_key_{}", "0".repeat(64))] {
        assert_eq!(scene.send("GET", "/api/vault/keys", refused, Value::Null).await.0, StatusCode::UNAUTHORIZED);
    }
    let past = json!({"name": "late", "expires_at": Timestamp::from_second(now() - 1).expect("a time")});
    assert_eq!(scene.user("POST", "/api/vault/keys", past).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test]
async fn an_api_key_makes_and_deletes_no_keys() {
    let scene = Scene::new().await;
    let (_, made) = scene.user("POST", "/api/vault/keys", json!({"name": "leaked"})).await;
    let key = made["key"].as_str().expect("shown once");
    let (status, reply) = scene.send("POST", "/api/vault/keys", key, json!({"name": "another"})).await;
    assert_eq!(status, StatusCode::FORBIDDEN, "{reply}");
    let path = format!("/api/vault/keys/{}", made["id"].as_str().expect("an id"));
    assert_eq!(scene.send("DELETE", &path, key, Value::Null).await.0, StatusCode::FORBIDDEN);
    // The positive control: somebody who is signed in may.
    assert_eq!(scene.user("POST", "/api/vault/keys", json!({"name": "another"})).await.0, StatusCode::CREATED);
    assert_eq!(scene.user("POST", "/api/vault/keys", json!({"name": "another"})).await.0, StatusCode::CONFLICT);
    assert_eq!(scene.user("POST", "/api/vault/keys", json!({"name": "  "})).await.0, StatusCode::UNPROCESSABLE_ENTITY);
}
