//! The account service as its clients see it.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use edge::Clock;
use local::accounts::{self, Accounts, tokens::Signer};
use reqwest::StatusCode;
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use serde_json::{Value, json};
use std::{path::Path, process::Stdio};
use testkit::TestDatabase;
use tokio::process::Command;

/// The newest release that runs on Node 20.
const AUTH_JS: &str = "@supabase/auth-js@2.100.0";

struct Service {
    url: String,
    accounts: Accounts,
    _database: TestDatabase,
}

async fn service() -> Service {
    let database = testkit::database().await;
    // Twice, as two starts do.
    database.run(accounts::SCHEMA).await;
    database.run(accounts::SCHEMA).await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/auth/v1", listener.local_addr().unwrap());
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new()).unwrap();
    let signer = Signer::from_pkcs8(key.as_ref(), url.clone()).unwrap();
    let accounts = Accounts::new(database.database.clone(), signer, Clock::system()).unwrap();
    let router = accounts::router(accounts.clone());
    tokio::spawn(async move { axum::serve(listener, router).await });
    Service { url, accounts, _database: database }
}

impl Service {
    async fn post(&self, path: &str, body: Value) -> (StatusCode, Value) {
        let reply = reqwest::Client::new().post(format!("{}{path}", self.url)).json(&body).send().await.unwrap();
        (reply.status(), reply.json().await.unwrap())
    }
}

#[tokio::test]
async fn supabases_own_client_works_unchanged() {
    let service = service().await;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("auth-js");
    std::fs::create_dir_all(&folder).unwrap();
    let installed = folder.join(AUTH_JS.replace(['/', '@'], "_"));
    if !installed.exists() {
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-save", "--no-audit", "--no-fund", "--prefix"]).arg(&folder).arg(AUTH_JS);
        let output = npm.stdin(Stdio::null()).output().await.expect("npm is there");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        std::fs::write(&installed, "").unwrap();
    }
    let script = folder.join("check.mjs");
    std::fs::write(&script, include_str!("auth-js.mjs")).unwrap();
    let output = Command::new("node").arg(&script).arg(&service.url).output().await.expect("node is there");
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

#[tokio::test]
async fn an_owner_whose_password_was_lost_gets_the_new_one_and_one_that_is_known_keeps_his() {
    let service = service().await;
    let secret = |password: &str| protocol::chat::Secret::new(password.to_owned());
    let sign_in = async |password: &str| service.accounts.sign_in("owner@localhost", secret(password)).await.is_ok();
    let id = service.accounts.ensure("owner@localhost", secret("the first password"), None).await.unwrap();
    assert!(sign_in("the first password").await);
    assert_eq!(service.accounts.ensure("owner@localhost", secret("another password"), Some(id)).await.unwrap(), id);
    assert!(sign_in("the first password").await && !sign_in("another password").await);
    assert_eq!(service.accounts.ensure("owner@localhost", secret("another password"), None).await.unwrap(), id);
    assert!(sign_in("another password").await && !sign_in("the first password").await);
}

/// A migration of a later release comes when the accounts' functions are there already.
#[tokio::test]
async fn a_later_migration_leaves_the_accounts_functions_to_their_owner() {
    let database = testkit::database().await;
    database.run(accounts::SCHEMA).await;
    let owners = "select distinct p.proowner::regrole::text from pg_proc p
        where p.pronamespace = 'api'::regnamespace and p.proname like 'account%'";
    let theirs = vec![vec![Some("agentopia_accounts".to_owned())]];
    assert_eq!(database.rows(owners).await, theirs);
    for url in [&database.owner_url, &database.admin_url] {
        let admin = database::embedded::Admin::connect(url).await.unwrap();
        admin.run("a later migration", "call gate.adopt()").await.unwrap();
        assert_eq!(database.rows(owners).await, theirs);
    }
}

#[tokio::test]
async fn the_edge_takes_its_tokens() {
    let service = service().await;
    let (status, session) = service.post("/signup", json!({"email": "a@b.c", "password": "long enough"})).await;
    assert_eq!(status, StatusCode::OK, "{session}");
    let token = session["access_token"].as_str().unwrap();
    let now = jiff::Timestamp::now().as_second();
    let user = service.accounts.verifier().verify(token, now).await.unwrap();
    assert_eq!(session["user"]["id"], user.to_string());
    let by_url = edge::Verifier::jwks(format!("{}/.well-known/jwks.json", service.url));
    assert_eq!(by_url.verify(token, now).await.unwrap(), user);
    assert!(by_url.verify(token, now + 3700).await.is_err(), "not for ever");
}

#[tokio::test]
async fn guessing_is_limited_for_the_address_and_for_nobody_else() {
    let service = service().await;
    service.post("/signup", json!({"email": "a@b.c", "password": "long enough"})).await;
    let sign_in = |email: &'static str, password: &'static str| {
        service.post("/token?grant_type=password", json!({"email": email, "password": password}))
    };
    // An address that nobody has is limited alike, so that the limit tells nothing.
    for email in ["a@b.c", "nobody@b.c"] {
        for _ in 0..10 {
            assert_eq!(sign_in(email, "wrong guess").await.0, StatusCode::BAD_REQUEST);
        }
        let (status, body) = sign_in(email, "long enough").await;
        assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
        assert_eq!(body["error_code"], "over_request_rate_limit");
    }
    service.post("/signup", json!({"email": "b@b.c", "password": "long enough"})).await;
    assert_eq!(sign_in("b@b.c", "long enough").await.0, StatusCode::OK);
}

#[tokio::test]
async fn of_many_that_refresh_at_once_one_wins_and_the_session_ends() {
    let service = service().await;
    let (_, session) = service.post("/signup", json!({"email": "a@b.c", "password": "long enough"})).await;
    let token = session["refresh_token"].clone();
    let body = || json!({"refresh_token": token});
    let all = futures::future::join_all((0..8).map(|_| service.post("/token?grant_type=refresh_token", body()))).await;
    let won: Vec<_> = all.iter().filter(|(status, _)| *status == StatusCode::OK).collect();
    assert_eq!(won.len(), 1);
    let (status, body) =
        service.post("/token?grant_type=refresh_token", json!({"refresh_token": won[0].1["refresh_token"]})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST, "the theft ended it: {body}");
}

#[tokio::test]
async fn bad_input_is_refused() {
    let service = service().await;
    for (path, body, status) in [
        ("/signup", json!({"email": "no address", "password": "long enough"}), 400),
        ("/signup", json!({"email": "a@b.c"}), 422),
        ("/token?grant_type=password", json!({}), 400),
        ("/token?grant_type=refresh_token", json!({}), 400),
        ("/token?grant_type=magic", json!({}), 400),
        ("/token", json!({}), 400),
        ("/signup", json!({"email": "a@b.c", "password": "x".repeat(20_000)}), 413),
    ] {
        let (got, answer) = service.post(path, body.clone()).await;
        assert_eq!(got.as_u16(), status, "{path} {answer}");
    }
    let http = reqwest::Client::new();
    for token in ["", "a.b.c"] {
        let reply = http.get(format!("{}/user", service.url)).bearer_auth(token).send().await.unwrap();
        assert_eq!(reply.status(), StatusCode::UNAUTHORIZED);
    }
}
