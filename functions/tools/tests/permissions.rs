//! Grants and capabilities over HTTP: what is minted is what a toolbox accepts.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use axum::{Router, body::Body};
use capability::{Minter, SigningKey, Verifier};
use catalog::{Selector, import::Importer};
use database::{Caller, server::Wanted};
use edge::testing::Tokens;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use models::embedding::OpenAi;
use protocol::{
    ids::*,
    server::Source,
    toolbox::{EnrolRequest, Revocations},
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};
use testkit::TestDatabase;
use tower::ServiceExt;

struct App {
    db: TestDatabase,
    minter: Arc<Minter>,
    router: Router,
    tokens: Tokens,
}

impl App {
    async fn new() -> Self {
        let db = testkit::database().await;
        let (context, tokens) = edge::testing::context(db.database.clone());
        // Nothing here asks for a vector.
        let embedder = Arc::new(OpenAi::new("http://127.0.0.1:1", "none", None).unwrap());
        let minter = Arc::new(Minter::from_pkcs8("test", &SigningKey::generate().unwrap()).unwrap());
        let selector = Selector::new(db.database.clone(), embedder.clone());
        let importer = Importer::new(db.database.clone(), embedder);
        let state = tools::State::local(context.clone(), selector, importer, minter.clone());
        let router = edge::app(tools::router(state), &[tools::ROUTES], &context);
        Self { db, minter, router, tokens }
    }

    /// A user with an enrolled toolbox that runs a server `time` with the tools `get` and `set`.
    async fn home(&self) -> (UserId, ToolboxId, ServerId) {
        let user = testkit::user(&self.db).await;
        let database = &self.db.database;
        let caller = Caller::user(user);
        let hash = user.to_string();
        let toolbox = database.toolbox_create(&caller, "home", &hash).await.unwrap();
        let enrol = EnrolRequest {
            public_key: "key".into(),
            gateway: "http://127.0.0.1:1/mcp".into(),
            version: "1".into(),
            certificate: None,
        };
        database.toolbox_enrol(&Caller::service(), &hash, &enrol).await.unwrap();
        let wanted = Wanted {
            name: Some("time".into()),
            suggested: "time".into(),
            catalog_name: None,
            source: Source::Npx { package: "time".into(), version: None },
            pinned: false,
            args: Vec::new(),
            env: Default::default(),
            secrets: Vec::new(),
            hosts: Vec::new(),
        };
        let server = database.server_create(&caller, toolbox, &wanted).await.unwrap().server.spec.id;
        let tool = |name: &str| json!({"name": name, "digest": "a".repeat(64), "definition": {}, "class": "write"});
        let checkin = json!({
            "boot_id": "b", "sequence": 1, "version": "1", "gateway": "http://127.0.0.1:1/mcp", "known_generation": 0,
            "applied_generation": 0, "docker": true,
            "servers": [{"id": server, "state": "running", "revision": 0, "tools": [tool("get"), tool("set")]}],
        });
        let _: Value = database.call(&Caller::toolbox(toolbox, user), "toolbox_checkin", &checkin).await.unwrap();
        (user, toolbox, server)
    }

    async fn call(&self, method: &str, path: &str, bearer: Option<&str>, body: Value) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    async fn ask(&self, user: UserId, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(method, path, Some(&self.tokens.user(user)), body).await
    }

    /// A toolbox's, which has just checked in.
    fn verifier(&self, toolbox: ToolboxId, owner: UserId, now: i64) -> Verifier {
        let keys = BTreeMap::from([("test".to_owned(), self.minter.key().public_key().to_string())]);
        let verifier = Verifier::new(&keys, toolbox, owner).unwrap();
        verifier.set_revocations(&Revocations::default(), now).unwrap();
        verifier
    }

    /// An agent without servers, for grants of its own.
    async fn agent(&self, user: UserId) -> AgentId {
        let agent = json!({"name": "a", "request": "", "plan": null, "servers": []});
        let made: Value = self.db.database.call(&Caller::user(user), "agent_create", &agent).await.unwrap();
        serde_json::from_value(made["agent_id"].clone()).unwrap()
    }
}

#[tokio::test]
async fn a_toolbox_accepts_what_is_minted_for_it_and_no_other_does() {
    let app = App::new().await;
    let (user, toolbox, _) = app.home().await;
    let (status, reply) = app.ask(user, "POST", "/api/capabilities", json!({})).await;
    assert_eq!((status.as_u16(), &reply["gateway"]), (200, &json!("http://127.0.0.1:1/mcp")));
    let token = reply["capability"].as_str().unwrap();
    let now = reply["expires_at"].as_i64().unwrap() - 900;
    let checked = app.verifier(toolbox, user, now).verify(token, now).unwrap();
    assert!(checked.allows("time", "get", &"a".repeat(64), &json!({})).is_ok());
    assert!(checked.allows("time", "get", &"b".repeat(64), &json!({})).is_err(), "another definition");
    assert!(checked.allows("time", "other", &"a".repeat(64), &json!({})).is_err(), "a tool that is not granted");
    assert!(app.verifier(ToolboxId::new(), user, now).verify(token, now).is_err());
    assert!(app.verifier(toolbox, UserId::new(), now).verify(token, now).is_err());
    assert!(app.verifier(toolbox, user, now).verify(token, now + 900).is_err(), "it ends with its time");
}

#[tokio::test]
async fn a_grant_is_given_used_and_taken() {
    let app = App::new().await;
    let (user, toolbox, server) = app.home().await;
    let agent = app.agent(user).await;
    let args = json!({"type": "object", "properties": {"zone": {"const": "UTC"}}, "required": ["zone"]});
    let grant = json!({"agent_id": agent, "server_id": server, "tool": "get", "args": args, "why": "to tell the time"});
    let (status, made) = app.ask(user, "POST", "/api/grants", grant).await;
    assert_eq!((status.as_u16(), &made["state"], &made["class"]), (201, &json!("active"), &json!("write")));
    let (_, list) = app.ask(user, "GET", &format!("/api/grants?agent_id={agent}"), Value::Null).await;
    assert_eq!(list, json!([made]));

    let (_, reply) = app.ask(user, "POST", "/api/capabilities", json!({"agent_id": agent})).await;
    let now = reply["expires_at"].as_i64().unwrap() - 900;
    let verifier = app.verifier(toolbox, user, now);
    let checked = verifier.verify(reply["capability"].as_str().unwrap(), now).unwrap();
    let digest = "a".repeat(64);
    assert!(checked.allows("time", "get", &digest, &json!({"zone": "UTC"})).is_ok());
    assert!(checked.allows("time", "get", &digest, &json!({"zone": "CET"})).is_err());
    assert!(checked.allows("time", "set", &digest, &json!({"zone": "UTC"})).is_err());

    let path = format!("/api/grants/{}", made["id"].as_str().unwrap());
    assert_eq!(app.ask(user, "DELETE", &path, Value::Null).await.0, 204);
    let (_, reply) = app.ask(user, "POST", "/api/capabilities", json!({"agent_id": agent})).await;
    let checked = verifier.verify(reply["capability"].as_str().unwrap(), now).unwrap();
    assert!(!checked.knows_server("time"));
}

#[tokio::test]
async fn a_grant_that_cannot_hold_is_refused() {
    let app = App::new().await;
    let (user, _, server) = app.home().await;
    let agent = app.agent(user).await;
    let with = |key: &str, value: Value| {
        let mut grant = json!({"agent_id": agent, "server_id": server, "tool": "get", "why": "to tell the time"});
        grant[key] = value;
        grant
    };
    for (grant, status) in [
        (with("tool", json!("nothing")), 422),
        (with("why", json!(" ")), 422),
        // It says something else by now.
        (with("digest", json!("b".repeat(64))), 409),
        (with("expires_at", json!("2020-01-01T00:00:00Z")), 422),
        (with("args", json!({"$ref": "https://example.com/schema"})), 422),
        (with("state", json!("active")), 422),
        (with("agent_id", json!(AgentId::new())), 404),
        (with("server_id", json!(ServerId::new())), 404),
    ] {
        let (seen, problem) = app.ask(user, "POST", "/api/grants", grant.clone()).await;
        assert_eq!(seen, status, "{grant}: {problem}");
        assert!(problem["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{problem}");
    }
    assert_eq!(app.ask(user, "POST", "/api/grants", with("digest", json!("a".repeat(64)))).await.0, 201);
    assert_eq!(app.ask(user, "POST", "/api/grants", with("tool", json!("get"))).await.0, 201);
}

#[tokio::test]
async fn another_users_agent_grants_nothing() {
    let app = App::new().await;
    let ((owner, toolbox, server), (stranger, own_box, _)) = (app.home().await, app.home().await);
    let agent = app.agent(owner).await;
    let mine = app.agent(stranger).await;
    for (agent_id, why) in [(agent, "theirs"), (mine, "their server")] {
        let grant = json!({"agent_id": agent_id, "server_id": server, "tool": "get", "why": why});
        assert_eq!(app.ask(stranger, "POST", "/api/grants", grant).await.0, 404);
    }
    for request in
        [json!({"agent_id": agent}), json!({"toolbox_id": toolbox}), json!({"agent_id": agent, "toolbox_id": own_box})]
    {
        assert_eq!(app.ask(stranger, "POST", "/api/capabilities", request).await.0, 404);
    }
    let grant = json!({"agent_id": agent, "server_id": server, "tool": "get", "why": "mine"});
    let (status, made) = app.ask(owner, "POST", "/api/grants", grant).await;
    assert_eq!(status, 201);
    let path = format!("/api/grants/{}", made["id"].as_str().unwrap());
    assert_eq!(app.ask(stranger, "DELETE", &path, Value::Null).await.0, 404);
    assert_eq!(app.ask(owner, "DELETE", &path, Value::Null).await.0, 204);
}

#[tokio::test]
async fn nothing_answers_without_a_token() {
    let app = App::new().await;
    for (method, path) in [("GET", "/api/grants"), ("POST", "/api/grants"), ("POST", "/api/capabilities")] {
        for bearer in [None, Some("nonsense")] {
            assert_eq!(app.call(method, path, bearer, json!({})).await.0, 401, "{method} {path}");
        }
    }
}
