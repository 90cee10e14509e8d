//! The function over a database of its own, asked as clients ask it.

use axum::{Router, body::Body};
use capability::{Minter, SigningKey};
use database::{Caller, Database};
use edge::testing::Tokens;
use http::{Request, StatusCode};
use http_body_util::BodyExt;
use protocol::ids::{ToolboxId, UserId};
use sealing::{KeyFile, Vault};
use serde_json::{Value, json};
use std::sync::Arc;
use tempfile::TempDir;
use testkit::TestDatabase;
use tower::ServiceExt;

pub(crate) struct App {
    pub(crate) db: TestDatabase,
    pub(crate) vault: Vault<Database>,
    router: Router,
    tokens: Tokens,
    _keys: TempDir,
}

impl App {
    pub(crate) async fn new() -> Self {
        let db = testkit::database().await;
        let keys = tempfile::tempdir().unwrap();
        let wrap = KeyFile::open_or_create(&keys.path().join("vault.key")).unwrap();
        let vault = Vault::new(db.database.clone(), Arc::new(wrap));
        let (context, tokens) = edge::testing::context(db.database.clone());
        let minter = Minter::from_pkcs8("test", &SigningKey::generate().unwrap()).unwrap();
        let state = agents::State::local(context.clone(), Arc::new(minter), vault.clone());
        let router = edge::app(agents::router(state), &[agents::ROUTES], &context);
        Self { db, vault, router, tokens, _keys: keys }
    }

    /// A user with one toolbox.
    pub(crate) async fn user(&self) -> (UserId, ToolboxId) {
        let user = testkit::user(&self.db).await;
        let hash = user.to_string();
        let toolbox = self.db.database.toolbox_create(&Caller::user(user), "home", &hash).await.unwrap();
        (user, toolbox)
    }

    pub(crate) async fn call(
        &self,
        method: &str,
        path: &str,
        bearer: Option<&str>,
        body: Value,
    ) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
        if let Some(bearer) = bearer {
            request = request.header("authorization", format!("Bearer {bearer}"));
        }
        let response = self.router.clone().oneshot(request.body(Body::from(body.to_string())).unwrap()).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn ask(&self, user: UserId, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        self.call(method, path, Some(&self.tokens.user(user)), body).await
    }

    /// Makes an agent from these servers and answers its id.
    pub(crate) async fn agent(&self, user: UserId, servers: Value) -> String {
        let (status, made) = self.ask(user, "POST", "/api/agents/create", request(servers)).await;
        assert_eq!(status, 201, "{made}");
        assert_eq!(made["status"], "ok");
        made["agent_id"].as_str().unwrap().to_owned()
    }

    /// Names of the servers that should run at a toolbox, in order.
    pub(crate) async fn servers(&self, user: UserId, toolbox: ToolboxId) -> Vec<String> {
        let list = self.db.database.server_list(&Caller::user(user), toolbox).await.unwrap();
        list.into_iter().map(|server| server.spec.name).collect()
    }
}

pub(crate) fn request(servers: Value) -> Value {
    json!({
        "mcp_server_info": {"servers": [{"name": "time", "description": "Tells the time", "tools": []}]},
        "mcp_config": {"mcpServers": servers},
        "user_prompt": "Tell me the time",
        "workflow": {"steps": ["look", "tell"]},
    })
}
