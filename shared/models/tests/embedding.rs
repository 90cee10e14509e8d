//! Vectors by the model in the process, and by an endpoint's double.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use axum::{Json, Router, http::HeaderMap, http::StatusCode, routing::post};
use models::embedding::{DIMENSIONS, Embedder, Error, MiniLm, OpenAi};
use protocol::chat::Secret;
use serde_json::{Value, json};

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[tokio::test]
async fn meanings_that_are_near_have_near_vectors() {
    let model = MiniLm::load(&testkit::model::folder()).unwrap();
    let texts = ["weather forecast", "Will it rain tomorrow?", "send an invoice to a customer", "weather forecast"];
    let vectors = model.embed(&texts).await.unwrap();
    assert!(vectors.iter().all(|vector| vector.len() == DIMENSIONS && (cosine(vector, vector) - 1.0).abs() < 1e-4));
    assert!(cosine(&vectors[0], &vectors[1]) > 0.4);
    assert!(cosine(&vectors[0], &vectors[2]) < 0.2);
    // The same text has the same vector, whatever it was computed together with.
    assert!(cosine(&vectors[0], &vectors[3]) > 0.9999);
    let alone = model.embed(&texts[..1]).await.unwrap();
    assert!(cosine(&vectors[0], &alone[0]) > 0.9999);
}

#[tokio::test]
async fn long_and_empty_texts_have_vectors_too() {
    let model = MiniLm::load(&testkit::model::folder()).unwrap();
    let long = "word ".repeat(20_000);
    let vectors = model.embed(&["", &long, "天気 \u{0} 🦀"]).await.unwrap();
    assert!(vectors.iter().all(|vector| vector.len() == DIMENSIONS && vector.iter().all(|x| x.is_finite())));
    assert!(model.embed(&[]).await.unwrap().is_empty());
}

#[test]
fn a_missing_file_is_named() {
    let empty = tempfile::tempdir().unwrap();
    let Err(error) = MiniLm::load(empty.path()) else { panic!("there is no model") };
    assert!(matches!(&error, Error::File(path, _) if path.ends_with("config.json")), "{error}");
}

/// An endpoint that answers in the wrong order and checks what it is sent.
async fn endpoint(
    answer: impl Fn(&HeaderMap, &Value) -> (StatusCode, Value) + Clone + Send + Sync + 'static,
) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let handler = move |headers: HeaderMap, Json(body): Json<Value>| async move {
        let (status, value) = answer(&headers, &body);
        (status, Json(value))
    };
    tokio::spawn(async move { axum::serve(listener, Router::new().route("/v1/embeddings", post(handler))).await });
    url
}

#[tokio::test]
async fn an_endpoint_is_asked_for_our_dimensions() {
    let url = endpoint(|headers, body| {
        assert_eq!(headers["authorization"], "Bearer key");
        assert_eq!(body["dimensions"], DIMENSIONS);
        let count = body["input"].as_array().unwrap().len();
        let data: Vec<_> = (0..count)
            .rev()
            .map(|index| json!({"index": index, "embedding": vec![index as f32 + 1.0; DIMENSIONS]}))
            .collect();
        (StatusCode::OK, json!({"data": data}))
    })
    .await;
    let endpoint = OpenAi::new(&format!("{url}/v1/"), "small", Some(Secret::new("key".to_owned()))).unwrap();
    let vectors = endpoint.embed(&["a", "b"]).await.unwrap();
    assert!((cosine(&vectors[0], &vectors[1]) - 1.0).abs() < 1e-4);
    assert_eq!(endpoint.name(), "small@384");
}

#[tokio::test]
async fn an_endpoint_that_errs_is_an_error() {
    let refuses = endpoint(|_, _| (StatusCode::UNAUTHORIZED, json!({"error": "no key"}))).await;
    let error = OpenAi::new(&refuses, "small", None).unwrap().embed(&["a"]).await.unwrap_err();
    assert!(matches!(error, Error::Refused { status: 401, .. }), "{error}");
    let wrong = endpoint(|_, _| (StatusCode::OK, json!({"data": [{"index": 0, "embedding": [1.0, 2.0]}]}))).await;
    let error = OpenAi::new(&wrong, "small", None).unwrap().embed(&["a"]).await.unwrap_err();
    assert!(matches!(error, Error::Answer(_)), "{error}");
    let missing = endpoint(|_, _| (StatusCode::OK, json!({"data": []}))).await;
    assert!(OpenAi::new(&missing, "small", None).unwrap().embed(&["a"]).await.is_err());
}
