//! The catalog's routes over a real database.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use ::catalog::{Selector, import::Importer};
use axum::{Router, body::Body};
use capability::{Minter, SigningKey};
use edge::testing::Tokens;
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use models::embedding::MiniLm;
use protocol::ids::UserId;
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use testkit::TestDatabase;
use tools::{ROUTES, State, router};
use tower::ServiceExt;

struct Setup {
    app: Router,
    tokens: Tokens,
    operator: UserId,
    user: UserId,
    _db: TestDatabase,
}

async fn setup() -> Setup {
    let db = testkit::database().await;
    db.run(include_str!("../../../supabase/seed.sql")).await;
    let (operator, user) = (testkit::user(&db).await, testkit::user(&db).await);
    let (context, tokens) = edge::testing::context(db.database.clone());
    let context = context.with_operators([operator]);
    let model = Arc::new(MiniLm::load(&testkit::model::folder()).unwrap());
    let selector = Selector::new(db.database.clone(), model.clone());
    let importer = Importer::new(db.database.clone(), model);
    let minter = Arc::new(Minter::from_pkcs8("test", &SigningKey::generate().unwrap()).unwrap());
    let app = edge::app(router(State::local(context.clone(), selector, importer, minter)), &[ROUTES], &context);
    Setup { app, tokens, operator, user, _db: db }
}

impl Setup {
    async fn call(&self, who: Option<UserId>, method: &str, path: &str, body: Value) -> (StatusCode, Value) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(user) = who {
            request = request.header(header::AUTHORIZATION, format!("Bearer {}", self.tokens.user(user)));
        }
        let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
        let request = request.header(header::CONTENT_TYPE, "application/json").body(body).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&bytes).unwrap_or_default())
    }
}

#[tokio::test]
async fn a_user_searches_and_looks() {
    let setup = setup().await;
    let user = Some(setup.user);
    let path = "/api/catalog/search?q=create%20a%20ticket%20in%20Linear&limit=3";
    let (status, reply) = setup.call(user, "GET", path, Value::Null).await;
    assert_eq!((status, &reply["no_match"]), (StatusCode::OK, &json!(false)), "{reply}");
    let best = &reply["servers"][0];
    assert_eq!(best["name"], "io.github.tacticlaunch/mcp-linear");
    assert!(best["confidence"].as_f64().unwrap() > 0.5 && best["why"].is_string() && best["need"].is_string());
    assert!(reply["servers"].as_array().unwrap().len() <= 3);
    // The name with its slash as it is, and encoded.
    for name in ["io.github.tacticlaunch/mcp-linear", "io.github.tacticlaunch%2Fmcp-linear"] {
        let (status, server) = setup.call(user, "GET", &format!("/api/catalog/servers/{name}"), Value::Null).await;
        assert_eq!((status, &server["title"]), (StatusCode::OK, &json!("Linear")));
    }
    let (status, talk) = setup.call(user, "GET", "/api/catalog/search?q=hello", Value::Null).await;
    assert_eq!((status, talk), (StatusCode::OK, json!({"servers": [], "needs": [], "no_match": true})));
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let setup = setup().await;
    let user = Some(setup.user);
    for (who, method, path, body, expected) in [
        (None, "GET", "/api/catalog/search?q=weather", Value::Null, StatusCode::UNAUTHORIZED),
        (None, "POST", "/api/catalog/import", json!({}), StatusCode::UNAUTHORIZED),
        (user, "POST", "/api/catalog/import", json!({}), StatusCode::FORBIDDEN),
        (user, "GET", "/api/catalog/imports/0192d3c4-0000-7000-8000-000000000000", Value::Null, StatusCode::FORBIDDEN),
        (user, "GET", "/api/catalog/search", Value::Null, StatusCode::BAD_REQUEST),
        (user, "GET", "/api/catalog/servers/io.example/unknown", Value::Null, StatusCode::NOT_FOUND),
        (
            Some(setup.operator),
            "GET",
            "/api/catalog/imports/0192d3c4-0000-7000-8000-000000000000",
            Value::Null,
            StatusCode::NOT_FOUND,
        ),
        (
            Some(setup.operator),
            "POST",
            "/api/catalog/import",
            json!({"url": "file:///etc/passwd"}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
        (
            Some(setup.operator),
            "POST",
            "/api/catalog/import",
            json!({"uri": "http://x"}),
            StatusCode::UNPROCESSABLE_ENTITY,
        ),
    ] {
        let (status, problem) = setup.call(who, method, path, body).await;
        // A body that is no request is 400 or 422, as the edge decides.
        let fits =
            status == expected || (expected == StatusCode::UNPROCESSABLE_ENTITY && status == StatusCode::BAD_REQUEST);
        assert!(fits, "{method} {path}: {status} {problem}");
        assert!(!problem["fix"].as_str().unwrap_or_default().is_empty(), "{path}: {problem}");
    }
}

#[tokio::test]
async fn an_operator_imports_and_sees_how_far_it_is() {
    let setup = setup().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let page = json!({"servers": [{"server": {"name": "io.example/zeppelin", "description": "Steers a zeppelin", "version": "1.0.0"}}],
                      "metadata": {"count": 1}});
    let registry = Router::new().route("/v0.1/servers", axum::routing::get(move || async move { axum::Json(page) }));
    tokio::spawn(async move { axum::serve(listener, registry).await });
    let operator = Some(setup.operator);
    let (status, begun) = setup.call(operator, "POST", "/api/catalog/import", json!({"url": url})).await;
    assert_eq!((status, &begun["state"]), (StatusCode::OK, &json!("running")), "{begun}");
    let path = format!("/api/catalog/imports/{}", begun["id"].as_str().unwrap());
    for _ in 0..600 {
        let (_, import) = setup.call(operator, "GET", &path, Value::Null).await;
        if import["state"] == "complete" && import["embedded"] == import["servers"] {
            assert_eq!((&import["imported"], &import["skipped"]), (&json!(1), &json!(0)));
            let (_, found) =
                setup.call(Some(setup.user), "GET", "/api/catalog/search?q=steer%20a%20zeppelin", Value::Null).await;
            assert_eq!(found["servers"][0]["name"], "io.example/zeppelin");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the import does not end");
}
