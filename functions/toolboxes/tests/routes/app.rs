//! The function over a database of its own, asked as clients ask it.

use axum::{Router, body::Body, response::Response};
use capability::{Minter, SigningKey, device};
use database::Database;
use edge::testing::Tokens;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use protocol::ids::{ToolboxId, UserId};
use serde_json::{Value, json};
use std::sync::Arc;
use testkit::TestDatabase;
use toolboxes::State;
use tower::ServiceExt;

pub(crate) struct App {
    pub(crate) db: TestDatabase,
    pub(crate) minter: Arc<Minter>,
    router: Router,
    tokens: Tokens,
}

/// A machine that has enrolled.
pub(crate) struct Toolbox {
    pub(crate) id: ToolboxId,
    pub(crate) owner: UserId,
    pub(crate) key: SigningKey,
}

impl App {
    pub(crate) async fn new() -> Self {
        Self::with(|_, state| state).await
    }

    pub(crate) async fn with(more: impl FnOnce(Database, State) -> State) -> Self {
        let db = testkit::database().await;
        let (context, tokens) = edge::testing::context(db.database.clone());
        let key = SigningKey::generate().unwrap();
        let minter = Arc::new(Minter::from_pkcs8("test", &key).unwrap());
        let state = more(db.database.clone(), State::local(context.clone(), minter.clone(), "http://127.0.0.1:1"));
        let router = edge::app(toolboxes::router(state), &[toolboxes::ROUTES], &context);
        Self { db, minter, router, tokens }
    }

    pub(crate) async fn user(&self) -> UserId {
        testkit::user(&self.db).await
    }

    pub(crate) fn bearer(&self, user: UserId) -> String {
        self.tokens.user(user)
    }

    pub(crate) async fn respond(&self, method: &str, path: &str, bearer: Option<&str>, body: &Value) -> Response {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        self.router.clone().oneshot(request.body(body).unwrap()).await.unwrap()
    }

    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: &Value,
    ) -> (StatusCode, String) {
        let response = self.respond(method, path, bearer, body).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(bytes.to_vec()).unwrap())
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Value,
    ) -> (StatusCode, Value) {
        let (status, text) = self.send(method, path, bearer, &body).await;
        (status, serde_json::from_str(&text).unwrap_or(Value::Null))
    }

    /// As a signed-in user.
    pub(crate) async fn ask(&self, user: UserId, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(method, path, Some(&self.tokens.user(user)), body).await
    }

    pub(crate) async fn ask_text(&self, user: UserId, path: &str) -> (StatusCode, String) {
        self.send("GET", path, Some(&self.tokens.user(user)), &Value::Null).await
    }

    /// Makes and enrols a toolbox whose gateway is at `gateway`.
    pub(crate) async fn enrolled(&self, owner: UserId, name: &str, gateway: &str) -> Toolbox {
        let (status, made) = self.ask(owner, "POST", "/api/toolboxes", json!({"name": name})).await;
        assert_eq!(status, 201, "{made}");
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let request = json!({"public_key": key.public_key().to_string(), "gateway": gateway, "version": "0.1.0"});
        let token = made["enrolment_token"].as_str().unwrap();
        let (status, reply) = self.call("POST", "/api/toolboxes/enrol", Some(token), request).await;
        assert_eq!(status, 200, "{reply}");
        Toolbox { id: serde_json::from_value(made["id"].clone()).unwrap(), owner, key }
    }

    /// A check-in that says `report` beside what every one says.
    pub(crate) async fn checkin(&self, toolbox: &Toolbox, report: Value) -> (StatusCode, Value) {
        let mut request = json!({
            "boot_id": "boot", "sequence": 1, "sent_at": "2026-01-01T00:00:00Z", "version": "0.1.0",
            "gateway": "http://127.0.0.1:1/mcp", "known_generation": 0, "applied_generation": 0,
            "revocation_sequence": 0, "servers": [], "docker": true,
        });
        for (key, value) in report.as_object().unwrap() {
            request[key] = value.clone();
        }
        let now = jiff::Timestamp::now().as_second();
        let token = device::sign(&toolbox.key, toolbox.id, now).unwrap();
        self.call("POST", "/api/toolboxes/checkin", Some(&token), request).await
    }

    pub(crate) async fn deploy(&self, toolbox: &Toolbox, body: Value) -> Value {
        let path = format!("/api/toolboxes/{}/servers", toolbox.id);
        let (status, server) = self.ask(toolbox.owner, "POST", &path, body).await;
        assert_eq!(status, 201, "{server}");
        server
    }

    pub(crate) async fn server(&self, toolbox: &Toolbox, id: &Value) -> Value {
        let path = format!("/api/toolboxes/{}/servers/{}", toolbox.id, id.as_str().unwrap());
        let (status, server) = self.ask(toolbox.owner, "GET", &path, Value::Null).await;
        assert_eq!(status, 200, "{server}");
        server
    }
}

pub(crate) fn npx(package: &str) -> Value {
    json!({"source": {"kind": "npx", "package": package, "version": null}})
}

/// A tool as a toolbox reports it; `digest` is repeated to the length of one.
pub(crate) fn tool(name: &str, digest: &str) -> Value {
    json!({"name": name, "digest": digest.repeat(64), "definition": {"name": name, "inputSchema": {"type": "object"}}})
}

pub(crate) fn running(id: &Value, revision: u32, tools: Value) -> Value {
    json!({"id": id, "state": "running", "revision": revision, "tools": tools})
}
