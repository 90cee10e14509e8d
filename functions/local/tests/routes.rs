//! Every route of every function, walked by its table: nothing answers without a proof of who asks, and nobody sees a row
//! of somebody else's.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use axum::{Router, body::Body};
use capability::SigningKey;
use database::{Caller, run::NewRun};
use edge::{Clock, Route, Who};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use local::{
    accounts::{self, Accounts, tokens::Signer},
    home::{Home, keys::Keys},
    server::{self, Parts},
};
use protocol::{
    chat::Secret,
    ids::{RequestId, RunId, UserId},
    toolbox::EnrolRequest,
};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use testkit::TestDatabase;
use tower::ServiceExt;

struct Setup {
    app: Router,
    /// The operator.
    owner: String,
    alice: Account,
    bob: Account,
    database: TestDatabase,
    _folder: tempfile::TempDir,
}

struct Account {
    id: UserId,
    token: String,
}

async fn setup() -> Setup {
    let database = testkit::database().await;
    database.run(accounts::SCHEMA).await;
    let folder = tempfile::tempdir().unwrap();
    let home = Home::locate(Some(folder.path().join("home"))).unwrap();
    home.prepare().unwrap();
    std::os::unix::fs::symlink(testkit::model::folder(), home.model()).unwrap();
    let keys = Keys::load_or_make(&home).unwrap();
    let url = "http://127.0.0.1:1";
    let signer = Signer::from_pkcs8(&keys.accounts, format!("{url}/auth/v1")).unwrap();
    let accounts = Accounts::new(database.database.clone(), signer, Clock::system()).unwrap();
    let owner = accounts.ensure("owner@localhost", Secret::new("owner's password".into()), None).await.unwrap();
    let parts =
        Parts { home: &home, url, keys: &keys, database: database.database.clone(), accounts: accounts.clone(), owner };
    let (app, _) = server::app(&parts).await.unwrap();
    let owner = sign_in(&app, "token?grant_type=password", "owner@localhost", "owner's password").await.token;
    let alice = sign_in(&app, "signup", "alice@example.com", "long enough").await;
    let bob = sign_in(&app, "signup", "bob@example.com", "long enough").await;
    Setup { app, owner, alice, bob, database, _folder: folder }
}

async fn sign_in(app: &Router, path: &str, email: &str, password: &str) -> Account {
    let body = json!({"email": email, "password": password});
    let (status, reply) = send(app, "POST", &format!("/auth/v1/{path}"), None, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{reply}");
    Account {
        id: reply["user"]["id"].as_str().unwrap().parse().unwrap(),
        token: reply["access_token"].as_str().unwrap().to_owned(),
    }
}

async fn send(app: &Router, method: &str, path: &str, token: Option<&str>, body: Option<Value>) -> (StatusCode, Value) {
    let mut request = Request::builder().method(method).uri(path).header(header::HOST, "127.0.0.1:1");
    if let Some(token) = token {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = match body {
        Some(body) => {
            request = request.header(header::CONTENT_TYPE, "application/json");
            Body::from(body.to_string())
        }
        None => Body::empty(),
    };
    let response = app.clone().oneshot(request.body(body).unwrap()).await.unwrap();
    let status = response.status();
    // A log that is followed never ends; what matters is how it begins.
    let read = tokio::time::timeout(std::time::Duration::from_secs(5), response.into_body().collect()).await;
    let bytes = read.map(|body| body.unwrap().to_bytes()).unwrap_or_default();
    (status, serde_json::from_slice(&bytes).unwrap_or(Value::Null))
}

fn routes() -> impl Iterator<Item = &'static Route> {
    server::TABLES.iter().copied().chain([edge::app::ROUTES]).flatten()
}

/// Routes of rows that are somebody's; the catalog is everybody's.
fn private() -> impl Iterator<Item = &'static Route> {
    let named = |route: &&Route| route.who == Who::User && route.parameters().next().is_some();
    routes().filter(named).filter(|route| !route.path.starts_with("/api/catalog/"))
}

/// The path with an id in each place.
fn fill(route: &Route, id: impl Fn(&str) -> String) -> String {
    route.parameters().fold(route.path.to_owned(), |path, name| {
        path.replace(&format!("{{{name}}}"), &id(name)).replace(&format!("{{*{name}}}"), &id(name))
    })
}

#[tokio::test]
async fn nothing_answers_without_a_proof_of_who_asks() {
    let setup = setup().await;
    for route in routes().filter(|route| route.who != Who::Open) {
        let path = fill(route, |_| RequestId::new().to_string());
        // Whether an enrolment token is good is asked of the database, after the body is read.
        let tokens: &[_] = if route.who == Who::Enrolment { &[None] } else { &[None, Some("not.a.token"), Some("x")] };
        for token in tokens.iter().copied() {
            for body in [None, Some(json!({}))] {
                let (status, reply) = send(&setup.app, route.method, &path, token, body).await;
                assert_eq!(status, StatusCode::UNAUTHORIZED, "{} {path} with {token:?}: {reply}", route.method);
            }
        }
    }
}

#[tokio::test]
async fn a_user_is_no_device_and_no_operator() {
    let setup = setup().await;
    let mut walked = BTreeMap::new();
    for route in routes() {
        *walked.entry(format!("{:?}", route.who)).or_insert(0) += 1;
        let path = fill(route, |_| RequestId::new().to_string());
        let (status, reply) = send(&setup.app, route.method, &path, Some(&setup.alice.token), Some(json!({}))).await;
        match route.who {
            // An enrolment token is a secret of its own kind; a user's is none.
            Who::Device | Who::Enrolment => assert!(
                [StatusCode::UNAUTHORIZED, StatusCode::FORBIDDEN, StatusCode::UNPROCESSABLE_ENTITY].contains(&status),
                "{} {path}: {status} {reply}",
                route.method
            ),
            Who::Operator => assert_eq!(status, StatusCode::FORBIDDEN, "{} {path}: {reply}", route.method),
            // The positive control: the same request is let in.
            Who::User => assert_ne!(status, StatusCode::UNAUTHORIZED, "{} {path}: {reply}", route.method),
            Who::Open => {}
        }
        // The token of a session that was ended is good for nothing else; the others go on with a new one.
        if route.path == "/auth/v1/logout" {
            assert_eq!(status, StatusCode::NO_CONTENT);
            continue;
        }
        if route.who == Who::Operator {
            let (status, _) = send(&setup.app, route.method, &path, Some(&setup.owner), Some(json!({"x": 1}))).await;
            assert_ne!(status, StatusCode::FORBIDDEN, "the owner is let in");
        }
    }
    let of = |who: Who| walked.get(&format!("{who:?}")).copied().unwrap_or(0);
    assert!(
        of(Who::User) > 25 && of(Who::Device) >= 3 && of(Who::Operator) >= 1 && of(Who::Enrolment) == 1,
        "{walked:?}"
    );
}

#[tokio::test]
async fn every_path_that_is_served_is_in_a_table() {
    let setup = setup().await;
    let known: BTreeSet<&str> = routes().map(|route| route.path).collect();
    let shown = format!("{:?}", setup.app);
    let served: BTreeSet<&str> = shown
        .split('"')
        .filter(|part| part.len() > 1 && part.starts_with('/') && !part.contains(char::is_whitespace))
        .collect();
    assert!(served.contains("/healthz"), "axum shows its paths differently now: {shown}");
    let unknown: Vec<_> = served.iter().filter(|path| !known.contains(*path) && !path.contains("__private")).collect();
    assert!(unknown.is_empty(), "served and in no table: {unknown:?}");
    let missing: Vec<_> = known.iter().filter(|path| !served.contains(*path)).collect();
    assert!(missing.is_empty(), "in a table and not served: {missing:?}");
}

#[tokio::test]
async fn somebody_elses_row_is_the_same_as_none() {
    let setup = setup().await;
    let rows = Rows::of(&setup).await;
    let mut walked = 0;
    for route in private() {
        let Some(theirs) = rows.path(route) else {
            panic!("this test knows no row for {} {}", route.method, route.path)
        };
        let nobodys = fill(route, |_| RequestId::new().to_string());
        let body = rows.body(route);
        let (status, mut reply) = send(&setup.app, route.method, &theirs, Some(&setup.bob.token), body.clone()).await;
        let (none, mut nothing) = send(&setup.app, route.method, &nobodys, Some(&setup.bob.token), body).await;
        if rows.may_refuse(route, status) {
            assert_eq!(status, none, "{} {theirs}: {reply}", route.method);
        } else {
            assert_eq!(status, StatusCode::NOT_FOUND, "{} {theirs}: {reply}", route.method);
            assert_eq!(none, StatusCode::NOT_FOUND, "{} {nobodys}: {nothing}", route.method);
        }
        for reply in [&mut reply, &mut nothing] {
            assert!(reply["fix"].as_str().is_some_and(|fix| !fix.is_empty()), "{reply}");
            reply["instance"].take();
        }
        assert_eq!(reply, nothing, "{} {}", route.method, route.path);
        walked += 1;
    }
    assert!(walked >= 10, "{walked}");
    // The positive control, in an order in which what is deleted is not needed any more.
    let mut routes: Vec<_> = private().collect();
    routes.sort_by_key(|route| (route.method == "DELETE", std::cmp::Reverse(route.path.len())));
    for route in routes {
        let path = rows.path(route).unwrap();
        let (status, reply) = send(&setup.app, route.method, &path, Some(&setup.alice.token), rows.body(route)).await;
        assert!(status.is_success() || rows.may_refuse(route, status), "{} {path}: {status} {reply}", route.method);
    }
}

/// Rows of Alice's, one of each kind.
struct Rows {
    toolbox: String,
    server: String,
    agent: String,
    grant: String,
    credential: String,
    key: String,
    session: String,
    run: String,
}

impl Rows {
    async fn of(setup: &Setup) -> Self {
        let (app, token) = (&setup.app, Some(setup.alice.token.as_str()));
        let make = async |path: &str, body: Value| {
            let (status, reply) = send(app, "POST", path, token, Some(body)).await;
            assert!(status.is_success(), "{path}: {reply}");
            reply
        };
        let id = |reply: &Value| reply["id"].as_str().unwrap().to_owned();
        let made = make("/api/toolboxes", json!({"name": "alice's"})).await;
        let toolbox = id(&made);
        let key = SigningKey::from_pkcs8(&SigningKey::generate().unwrap()).unwrap();
        let enrol = EnrolRequest {
            public_key: key.public_key().to_string(),
            gateway: "http://127.0.0.1:1".into(),
            version: "0".into(),
            certificate: None,
        };
        let enrolment = made["enrolment_token"].as_str().unwrap();
        let body = serde_json::to_value(&enrol).unwrap();
        let (status, reply) = send(app, "POST", "/api/toolboxes/enrol", Some(enrolment), Some(body)).await;
        assert!(status.is_success(), "{reply}");
        let source = json!({"kind": "uvx", "package": "mcp-server-time", "version": null});
        let server =
            make(&format!("/api/toolboxes/{toolbox}/servers"), json!({"name": "time", "source": source})).await;
        let (_, agents) = send(app, "GET", "/api/agents", token, None).await;
        let agent = id(&agents[0]);
        let database = &setup.database.database;
        let grants = database.grant_list(&Caller::user(setup.alice.id), None).await.unwrap();
        let run = RunId::new();
        let begun = database
            .run_create(
                &Caller::user(setup.alice.id),
                &NewRun {
                    id: run,
                    agent_id: agent.parse().unwrap(),
                    session_id: None,
                    begins_session: false,
                    message: "hello",
                },
            )
            .await;
        begun.unwrap();
        let credential =
            make("/api/vault/credentials", json!({"server": "x", "key": "TOKEN", "value": "a value"})).await;
        let key = make("/api/vault/keys", json!({"name": "a program"})).await;
        let session = make("/api/sessions/create", json!({})).await;
        Self {
            toolbox,
            server: id(&server),
            agent,
            grant: grants[0].id.to_string(),
            credential: id(&credential),
            key: id(&key),
            session: session["session_id"].as_str().unwrap().to_owned(),
            run: run.to_string(),
        }
    }

    fn path(&self, route: &Route) -> Option<String> {
        let first = match route.path.split('/').take(4).collect::<Vec<_>>()[..] {
            ["", "api", "vault", "keys"] => &self.key,
            ["", "api", "toolboxes", _] => &self.toolbox,
            ["", "api", "agents", _] => &self.agent,
            ["", "api", "grants", _] => &self.grant,
            ["", "api", "vault", _] => &self.credential,
            ["", "api", "sessions", _] => &self.session,
            ["", "api", "runs", _] => &self.run,
            _ => return None,
        };
        Some(fill(route, |name| if name == "sid" { self.server.clone() } else { first.clone() }))
    }

    /// What the route takes, where it takes anything.
    fn body(&self, route: &Route) -> Option<Value> {
        match (route.method, route.path) {
            ("POST", "/api/toolboxes/{id}/servers") => Some(json!({
                "name": "other",
                "source": {"kind": "uvx", "package": "mcp-server-git", "version": null},
            })),
            ("POST", "/api/agents/{id}/runs") => Some(json!({"message": "hello"})),
            ("PATCH", "/api/agents/{id}") => Some(json!({"name": "renamed"})),
            ("POST", "/api/vault/credentials/{id}/rotate") => Some(json!({"value": "another value"})),
            _ => None,
        }
    }

    /// What is refused even to its owner.
    fn may_refuse(&self, route: &Route, status: StatusCode) -> bool {
        // Without a language model no agent runs.
        if route.path == "/api/agents/{id}/runs" {
            return true;
        }
        // One's own agent cannot be deleted; with the toolbox its servers went, and with them their grants.
        matches!((route.method, route.path), ("DELETE", "/api/agents/{id}" | "/api/grants/{id}"))
            && [StatusCode::CONFLICT, StatusCode::FORBIDDEN, StatusCode::NOT_FOUND, StatusCode::UNPROCESSABLE_ENTITY]
                .contains(&status)
    }
}

#[tokio::test]
async fn a_page_elsewhere_reaches_nothing() {
    let setup = setup().await;
    let ask = async |method: &str, path: &str, host: &str, origin: Option<&str>| {
        let mut request = Request::builder().method(method).uri(path).header(header::HOST, host);
        request = request.header(header::CONTENT_TYPE, "application/json");
        request = request.header(header::AUTHORIZATION, format!("Bearer {}", setup.alice.token));
        if let Some(origin) = origin {
            request = request.header(header::ORIGIN, origin);
        }
        let request = request.body(Body::from("{}")).unwrap();
        setup.app.clone().oneshot(request).await.unwrap().status()
    };
    // Its name leads here: every route is closed to it, the open ones and what does not exist too.
    for path in ["/api/agents", "/healthz", "/docs", "/openapi.json", "/nothing", "/"] {
        assert_eq!(ask("GET", path, "evil.example", None).await, StatusCode::FORBIDDEN, "{path}");
        assert_ne!(ask("GET", path, "localhost:1", None).await, StatusCode::FORBIDDEN, "{path}");
    }
    for (path, done) in
        [("/api/sessions/create", StatusCode::CREATED), ("/auth/v1/signup", StatusCode::UNPROCESSABLE_ENTITY)]
    {
        assert_eq!(
            ask("POST", path, "127.0.0.1:1", Some("https://evil.example")).await,
            StatusCode::FORBIDDEN,
            "{path}"
        );
        assert_eq!(ask("POST", path, "127.0.0.1:1", Some("http://127.0.0.1:1")).await, done, "{path}");
        assert_eq!(ask("POST", path, "127.0.0.1:1", None).await, done, "{path}");
    }
}
