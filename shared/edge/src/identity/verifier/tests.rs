use crate::{Verifier, testing::Tokens};
use axum::{Router, extract::State, routing::get};
use jsonwebtoken::{Algorithm, EncodingKey, Header};
use protocol::{chat::Secret, ids::UserId};
use serde_json::{Value, json};
use std::sync::{
    Arc, Mutex,
    atomic::{AtomicUsize, Ordering},
};

fn now() -> i64 {
    jiff::Timestamp::now().as_second()
}

async fn good(verifier: &Verifier, token: &str) -> bool {
    verifier.verify(token, now()).await.is_ok()
}

#[tokio::test]
async fn a_good_token_names_its_user() {
    let tokens = Tokens::new();
    let user = UserId::new();
    assert_eq!(tokens.verifier().verify(&tokens.user(user), now()).await.expect("good"), user);
}

#[tokio::test]
async fn a_spoilt_claim_is_refused() {
    let tokens = Tokens::new();
    let verifier = tokens.verifier().with_issuer("https://accounts.example");
    let fine = {
        let mut claims = tokens.claims(UserId::new());
        claims["iss"] = "https://accounts.example".into();
        claims
    };
    assert!(good(&verifier, &tokens.sign(&fine)).await);
    for (name, value) in [
        ("exp", json!(now() - 60)),
        ("nbf", json!(now() + 60)),
        ("aud", json!("somewhere else")),
        ("role", json!("anon")),
        ("role", json!("service_role")),
        ("iss", json!("https://other.example")),
        ("sub", json!("not an id")),
        ("exp", json!("tomorrow")),
        ("exp", Value::Null),
    ] {
        let mut claims = fine.clone();
        claims[name] = value.clone();
        assert!(!good(&verifier, &tokens.sign(&claims)).await, "{name} = {value}");
    }
}

#[tokio::test]
async fn a_key_takes_one_algorithm_only() {
    let tokens = Tokens::new();
    let verifier = tokens.verifier();
    let claims = tokens.claims(UserId::new());
    // HS256 signed with what is public: the classic confusion.
    let public = serde_json::to_vec(&tokens.set().keys[0]).expect("JSON");
    for secret in [&public[..], b"", b"test"] {
        let mut header = Header::new(Algorithm::HS256);
        header.kid = Some("test".to_owned());
        let token = jsonwebtoken::encode(&header, &claims, &EncodingKey::from_secret(secret)).expect("signs");
        assert!(!good(&verifier, &token).await);
    }
    // No signature at all.
    let token = tokens.sign(&claims);
    let body = token.split('.').nth(1).expect("three parts");
    for head in [json!({"alg": "none"}), json!({"alg": "none", "kid": "test"}), json!({"alg": "RS256", "kid": "test"})]
    {
        use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
        let head = URL_SAFE_NO_PAD.encode(head.to_string());
        assert!(!good(&verifier, &format!("{head}.{body}.")).await);
    }
}

#[tokio::test]
async fn hs256_works_only_when_configured() {
    let tokens = Tokens::new();
    let secret = "a secret of the project, long enough";
    let token = jsonwebtoken::encode(
        &Header::new(Algorithm::HS256),
        &tokens.claims(UserId::new()),
        &EncodingKey::from_secret(secret.as_bytes()),
    )
    .expect("signs");
    assert!(!good(&tokens.verifier(), &token).await);
    let configured = tokens.verifier().with_shared_secret(&Secret::new(secret.to_owned()));
    assert!(good(&configured, &token).await);
}

#[tokio::test]
async fn another_key_or_a_key_in_the_token_is_refused() {
    let (tokens, other) = (Tokens::new(), Tokens::new());
    let verifier = tokens.verifier();
    let claims = tokens.claims(UserId::new());
    assert!(!good(&verifier, &other.sign(&claims)).await, "same kid, another key");
    let mut header = Header::new(Algorithm::ES256);
    header.kid = Some("test".to_owned());
    header.jwk = Some(other.set().keys[0].clone());
    header.jku = Some("http://127.0.0.1:1/jwks.json".to_owned());
    assert!(!good(&verifier, &other.sign_with(&header, &claims)).await);
    // The same header over the right signature is good: it is ignored, not an error.
    assert!(good(&verifier, &tokens.sign_with(&header, &claims)).await);
    for text in ["", "a.b", "a.b.c", "a.b.c.d", "🙂.🙂.🙂"] {
        assert!(!good(&verifier, text).await, "{text:?}");
    }
}

/// A JWKS address that counts how often it is asked.
async fn jwks(set: Value) -> (String, Arc<AtomicUsize>, Arc<Mutex<Value>>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let set = Arc::new(Mutex::new(set));
    let app = Router::new()
        .route(
            "/jwks.json",
            get(|State((asked, set)): State<(Arc<AtomicUsize>, Arc<Mutex<Value>>)>| async move {
                asked.fetch_add(1, Ordering::SeqCst);
                axum::Json(set.lock().expect("not poisoned").clone())
            }),
        )
        .with_state((asked.clone(), set.clone()));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/jwks.json", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, app).await });
    (url, asked, set)
}

#[tokio::test]
async fn a_key_set_is_cached_and_unknown_kids_fetch_at_a_bounded_rate() {
    let (first, second) = (Tokens::with_kid("first"), Tokens::with_kid("second"));
    let (url, asked, set) = jwks(serde_json::to_value(first.set()).expect("JSON")).await;
    let verifier = Verifier::jwks(url);
    let (start, user) = (now(), UserId::new());
    for _ in 0..20 {
        verifier.verify(&first.user(user), start).await.expect("good");
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    // A flood of unknown kids causes no further fetch within the pause, and known ones still work.
    for _ in 0..20 {
        assert!(verifier.verify(&second.user(user), start + 1).await.is_err());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    *set.lock().expect("not poisoned") = serde_json::to_value(second.set()).expect("JSON");
    verifier.verify(&second.user(user), start + 31).await.expect("fetched again after the pause");
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    assert!(verifier.verify(&first.user(user), start + 32).await.is_err(), "a key that was taken out is refused");
}

#[tokio::test]
async fn without_its_keys_it_says_unavailable_and_not_unauthorised() {
    let tokens = Tokens::new();
    let verifier = Verifier::jwks("http://127.0.0.1:1/jwks.json");
    let error = verifier.verify(&tokens.user(UserId::new()), now()).await.expect_err("no keys");
    assert_eq!(error.status(), http::StatusCode::SERVICE_UNAVAILABLE);
}
