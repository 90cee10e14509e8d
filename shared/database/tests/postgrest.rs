//! The PostgREST door: at a double that looks at every byte of a request, and at a real PostgREST where there is one.

use axum::{
    Router,
    body::Bytes,
    extract::State,
    http::{HeaderMap, Method, StatusCode, Uri},
};
use database::{
    Caller, Database, Error,
    postgrest::{Options, Signer},
};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use protocol::{
    chat::Secret,
    ids::{ToolboxId, UserId},
};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

const SHARED: &str = "a secret that is long enough for HS256, as Supabase's are";

#[derive(Clone)]
struct Double {
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: (StatusCode, &'static str),
}

#[derive(Clone)]
struct Seen {
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().expect("ASCII"))
    }

    /// What the bearer token says, if its signature holds.
    fn claims(&self) -> Value {
        let token = self.header("authorization").expect("a token").strip_prefix("Bearer ").expect("a bearer token");
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_audience(&["authenticated"]);
        let key = DecodingKey::from_secret(SHARED.as_bytes());
        jsonwebtoken::decode(token, &key, &validation).expect("signed with the shared secret").claims
    }
}

async fn record(
    State(double): State<Double>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> (StatusCode, &'static str) {
    double.seen.lock().expect("no panic").push(Seen { method, uri, headers, body });
    double.answer
}

impl Double {
    async fn answering(status: u16, body: &'static str) -> (Self, Database) {
        let answer = (StatusCode::from_u16(status).expect("a status"), body);
        let double = Self { seen: Arc::default(), answer };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let root = format!("http://{}/rest/v1/", listener.local_addr().expect("bound"));
        let app = Router::new().fallback(record).with_state(double.clone());
        tokio::spawn(async move { axum::serve(listener, app).await });
        let options = Options {
            key: Some(Secret::new("sb_publishable_x".into())),
            signer: Some(Signer::shared(&Secret::new(SHARED.into()))),
            ..Options::new(root)
        };
        (double, Database::postgrest(options).expect("a client"))
    }

    fn only(&self) -> Seen {
        let seen = self.seen.lock().expect("no panic");
        assert_eq!(seen.len(), 1, "one call is one request");
        seen[0].clone()
    }
}

#[tokio::test]
async fn a_users_call_is_one_post_with_the_users_own_token() {
    let (double, database) = Double::answering(200, r#"{"id": 7}"#).await;
    let caller = Caller::user(UserId::new()).with_token(Secret::new("the.users.jwt".into()));
    let arguments = json!({"name": "ü", "tools": []});
    let result: Value = database.call(&caller, "agent_create", &arguments).await.expect("answered");
    assert_eq!(result, json!({"id": 7}));
    let seen = double.only();
    assert_eq!((seen.method.as_str(), seen.uri.path()), ("POST", "/rest/v1/rpc/agent_create"));
    assert_eq!(seen.uri.query(), None);
    assert_eq!(seen.header("content-profile"), Some("api"));
    assert_eq!(seen.header("apikey"), Some("sb_publishable_x"));
    assert_eq!(seen.header("authorization"), Some("Bearer the.users.jwt"));
    assert_eq!(seen.header("content-type"), Some("application/json"));
    assert_eq!(seen.header("prefer"), None);
    assert_eq!(serde_json::from_slice::<Value>(&seen.body).expect("JSON"), arguments, "the whole body is the argument");
}

#[tokio::test]
async fn for_a_toolbox_and_for_the_control_plane_we_sign() {
    let (user, toolbox) = (UserId::new(), ToolboxId::new());
    for (caller, role, sub, id) in [
        (Caller::toolbox(toolbox, user), "toolbox", json!(user), json!(toolbox)),
        // A toolbox's own token is nothing that PostgREST knows.
        (Caller::toolbox(toolbox, user).with_token(Secret::new("x".into())), "toolbox", json!(user), json!(toolbox)),
        (Caller::service(), "service", Value::Null, Value::Null),
        // A user who came with an API key.
        (Caller::user(user), "authenticated", json!(user), Value::Null),
    ] {
        let (double, database) = Double::answering(200, "null").await;
        database.call::<()>(&caller, "toolbox_checkin", &json!({})).await.expect("answered");
        let claims = double.only().claims();
        assert_eq!((&claims["role"], &claims["sub"], &claims["toolbox_id"]), (&json!(role), &sub, &id));
        let life = claims["exp"].as_u64().expect("a time") - claims["iat"].as_u64().expect("a time");
        assert_eq!(life, 60);
    }
}

#[tokio::test]
async fn nobody_in_particular_has_no_token() {
    let (double, database) = Double::answering(204, "").await;
    let caller = Caller::anonymous().with_token(Secret::new("x".into()));
    database.call::<()>(&caller, "catalog_search", &json!({})).await.expect("answered");
    assert_eq!(double.only().header("authorization"), None);
}

#[tokio::test]
async fn without_a_key_to_sign_with_nothing_is_sent() {
    let (double, _) = Double::answering(200, "null").await;
    let database = Database::postgrest(Options::new("http://127.0.0.1:1")).expect("a client");
    let refused = database.call::<()>(&Caller::service(), "server_sweep", &json!({})).await;
    assert!(matches!(refused, Err(Error::Unexpected(_))), "{refused:?}");
    assert!(double.seen.lock().expect("no panic").is_empty());
}

#[tokio::test]
async fn a_refusal_is_the_same_error_as_at_the_direct_door() {
    let raised = r#"{"code":"PT409","details":null,"hint":"choose another","message":"that name is taken"}"#;
    let (_, database) = Double::answering(409, raised).await;
    let Err(Error::Conflict { message, fix }) = database.call::<()>(&Caller::anonymous(), "x", &json!({})).await else {
        panic!("a conflict")
    };
    assert_eq!((message.as_str(), fix.as_str()), ("that name is taken", "choose another"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let (_, database) = Double::answering(307, "").await;
    let answer = database.call::<()>(&Caller::anonymous(), "x", &json!({})).await;
    assert!(matches!(answer, Err(Error::Unexpected(_))), "{answer:?}");
}

#[tokio::test]
async fn nobody_listening_is_unavailable() {
    let database = Database::postgrest(Options::new("http://127.0.0.1:1")).expect("a client");
    let answer = database.call::<()>(&Caller::anonymous(), "x", &json!({})).await;
    assert!(matches!(answer, Err(Error::Unavailable(_))), "{answer:?}");
}

/// `POSTGREST_URL` and `POSTGREST_JWT_SECRET` of a PostgREST over a migrated database (`db-schemas = "api"`).
#[tokio::test]
async fn a_real_postgrest_answers_as_the_direct_door_does() {
    let (Ok(url), Ok(secret)) = (std::env::var("POSTGREST_URL"), std::env::var("POSTGREST_JWT_SECRET")) else {
        eprintln!("SKIPPED: POSTGREST_URL and POSTGREST_JWT_SECRET name no PostgREST");
        return;
    };
    let signer = Some(Signer::shared(&Secret::new(secret)));
    let database = Database::postgrest(Options { signer, ..Options::new(url) }).expect("a client");
    let key = UserId::new().to_string();
    let put = json!({"scope": "postgrest", "key": key, "value": {"a": [1, null]}, "ttl_ms": 60_000});
    let put_once = async || database.call::<bool>(&Caller::service(), "ephemeral_put_if_absent", &put).await;
    assert!(put_once().await.expect("put"));
    assert!(!put_once().await.expect("not put"));
    let get = json!({"scope": "postgrest", "key": key});
    let got: Value = database.call(&Caller::service(), "ephemeral_get", &get).await.expect("got");
    assert_eq!(got["value"], put["value"]);
    for caller in [Caller::user(UserId::new()), Caller::anonymous()] {
        let refused = database.call::<Value>(&caller, "ephemeral_get", &get).await;
        assert!(matches!(refused, Err(Error::Forbidden { .. })), "{refused:?}");
    }
    let taken: Value = database.call(&Caller::service(), "ephemeral_take", &get).await.expect("taken");
    assert_eq!(taken["value"], put["value"]);
    let gone: Option<Value> = database.call(&Caller::service(), "ephemeral_get", &get).await.expect("got");
    assert_eq!(gone, None);
}
