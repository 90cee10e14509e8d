//! The extractors and the layers, over HTTP bodies and headers as they come.

use crate::{
    Context, Json, Path, Query, Route, User, Who, app,
    testing::{Tokens, context},
};
use axum::{
    Router,
    body::Body,
    extract::FromRef,
    response::Response,
    routing::{get, post},
};
use database::{Database, Options};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use protocol::{
    ids::{AgentId, UserId},
    problem::Problem,
};
use serde::Deserialize;
use tower::ServiceExt;

#[derive(Clone)]
struct State(Context);

impl FromRef<State> for Context {
    fn from_ref(state: &State) -> Self {
        state.0.clone()
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Thing {
    name: String,
}

#[derive(Deserialize)]
struct Page {
    limit: u8,
}

const ROUTES: &[Route] = &[Route::post("/api/things", Who::User, "Makes a thing")];

/// No database answers at this address; what is tested here does not need one.
fn nowhere() -> Database {
    Database::direct("postgres://nobody@127.0.0.1:1/nothing", &Options::default()).expect("opens no connection yet")
}

fn serve() -> (Router, Tokens) {
    let (context, tokens) = context(nowhere());
    let context = context.with_origins(["https://console.example".to_owned()]);
    let router = Router::new()
        .route("/api/things", post(|_: User, Json(thing): Json<Thing, 64>| async move { thing.name }))
        .route("/api/things/{id}", get(|Path(id): Path<AgentId>| async move { id.to_string() }))
        .route("/api/page", get(|Query(page): Query<Page>| async move { page.limit.to_string() }))
        .route("/api/raw", post(|_: axum::Json<Thing>| async {}))
        .with_state(State(context.clone()));
    (app(router, &[ROUTES], &context), tokens)
}

async fn problem(response: Response) -> Problem {
    assert_eq!(response.headers()[header::CONTENT_TYPE], "application/problem+json");
    let id = response.headers()["x-request-id"].to_str().expect("text").to_owned();
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a body").to_bytes();
    let problem: Problem = serde_json::from_slice(&body).expect("a problem");
    assert_eq!(problem.status, status);
    assert_eq!(problem.instance.as_deref(), Some(id.as_str()), "the request's id is in both");
    assert!(problem.fix.as_deref().is_some_and(|fix| !fix.is_empty()), "{problem:?}");
    problem
}

fn request(method: &str, path: &str, token: Option<&str>, body: &str) -> Request<Body> {
    let mut request = Request::builder().method(method).uri(path).header("content-type", "application/json");
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    request.body(Body::from(body.to_owned())).expect("a request")
}

#[tokio::test]
async fn every_refusal_is_a_problem_with_a_fix() {
    let (app, tokens) = serve();
    let token = tokens.user(UserId::new());
    let long = format!(r#"{{"name": "{}"}}"#, "x".repeat(100));
    for (name, request, status) in [
        ("no token", request("POST", "/api/things", None, r#"{"name": "a"}"#), 401),
        ("bad token", request("POST", "/api/things", Some("a.b.c"), r#"{"name": "a"}"#), 401),
        ("no such route", request("GET", "/api/nothing", None, ""), 404),
        ("another method", request("PUT", "/api/things", None, ""), 405),
        ("not JSON", request("POST", "/api/things", Some(&token), "name=a"), 400),
        ("a key twice", request("POST", "/api/things", Some(&token), r#"{"name": "a", "name": "b"}"#), 400),
        ("an unknown key", request("POST", "/api/things", Some(&token), r#"{"name": "a", "x": 1}"#), 422),
        ("a wrong type", request("POST", "/api/things", Some(&token), r#"{"name": 1}"#), 422),
        ("too long", request("POST", "/api/things", Some(&token), &long), 413),
        ("no id", request("GET", "/api/things/1", None, ""), 404),
        ("a bad query", request("GET", "/api/page?limit=900", None, ""), 400),
        ("axum's own refusal", request("POST", "/api/raw", None, "{"), 400),
        ("no database", request("GET", "/healthz", None, ""), 503),
    ] {
        let response = app.clone().oneshot(request).await.expect("answers");
        assert_eq!(response.status().as_u16(), status, "{name}");
        problem(response).await;
    }
    let mut plain = request("POST", "/api/things", Some(&token), r#"{"name": "a"}"#);
    plain.headers_mut().insert("content-type", "text/plain".parse().expect("a header"));
    let response = app.clone().oneshot(plain).await.expect("answers");
    assert_eq!(response.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE);
    problem(response).await;
}

#[tokio::test]
async fn what_is_right_passes() {
    let (app, tokens) = serve();
    let token = tokens.user(UserId::new());
    for request in [
        request("POST", "/api/things", Some(&token), r#"{"name": "a"}"#),
        request("GET", &format!("/api/things/{}", AgentId::new()), None, ""),
        request("GET", "/api/page?limit=9", None, ""),
        request("GET", "/openapi.json", None, ""),
        request("GET", "/docs", None, ""),
    ] {
        let what = format!("{} {}", request.method(), request.uri());
        assert_eq!(app.clone().oneshot(request).await.expect("answers").status(), StatusCode::OK, "{what}");
    }
}

#[tokio::test]
async fn a_body_without_a_length_is_bounded_too() {
    let (app, tokens) = serve();
    let chunks = (0..1000).map(|_| Ok::<_, std::io::Error>(axum::body::Bytes::from_static(&[b' '; 100])));
    let mut request = request("POST", "/api/things", Some(&tokens.user(UserId::new())), "");
    *request.body_mut() = Body::from_stream(futures::stream::iter(chunks));
    assert_eq!(app.oneshot(request).await.expect("answers").status(), StatusCode::PAYLOAD_TOO_LARGE);
}

#[tokio::test]
async fn a_refusal_repeats_no_value() {
    let (app, tokens) = serve();
    let token = tokens.user(UserId::new());
    #[derive(Debug, Deserialize)]
    struct Numbers {
        #[allow(dead_code, reason = "only its refusal matters")]
        n: u8,
    }
    for body in [r#"{"n": "hunter2"}"#, r#"{"n": 31337}"#, r#"{"n": ["hunter2"]}"#] {
        let refusal = Json::<Numbers>::read(body.as_bytes()).expect_err("not a small number");
        assert!(!refusal.detail().contains("hunter2") && !refusal.detail().contains("31337"), "{}", refusal.detail());
    }
    let refused =
        app.oneshot(request("POST", "/api/things", Some(&token), r#"{"name": 31337}"#)).await.expect("answers");
    assert!(!problem(refused).await.detail.expect("a detail").contains("31337"));
}

#[tokio::test]
async fn two_proofs_are_none() {
    let (app, tokens) = serve();
    let mut request = request("POST", "/api/things", Some(&tokens.user(UserId::new())), r#"{"name": "a"}"#);
    request.headers_mut().append("authorization", "Bearer another".parse().expect("a header"));
    assert_eq!(app.oneshot(request).await.expect("answers").status(), StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_trace_goes_on_and_a_request_id_is_never_taken_over() {
    let (app, _) = serve();
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let mut asked = request("GET", "/docs", None, "");
    asked.headers_mut().insert("traceparent", format!("00-{trace}-00f067aa0ba902b7-01").parse().expect("a header"));
    asked.headers_mut().insert("x-request-id", "mine".parse().expect("a header"));
    let response = app.oneshot(asked).await.expect("answers");
    let parent = response.headers()["traceparent"].to_str().expect("text");
    assert!(parent.starts_with(&format!("00-{trace}-")) && parent.ends_with("-01"), "{parent}");
    assert!(!parent.contains("00f067aa0ba902b7"), "a span of its own");
    assert_ne!(response.headers()["x-request-id"], "mine");
}

#[tokio::test]
async fn only_known_origins_may_call_from_a_browser() {
    let (app, _) = serve();
    for (origin, allowed) in [("https://console.example", true), ("https://evil.example", false), ("null", false)] {
        let preflight = Request::builder()
            .method("OPTIONS")
            .uri("/api/things")
            .header("origin", origin)
            .header("access-control-request-method", "POST")
            .header("access-control-request-headers", "authorization,content-type,x-client-info")
            .body(Body::empty())
            .expect("a request");
        let response = app.clone().oneshot(preflight).await.expect("answers");
        assert_eq!(response.headers().contains_key("access-control-allow-origin"), allowed, "{origin}");
    }
}
