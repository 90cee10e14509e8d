//! What surrounds a function's router: the open routes, and the layers that every request passes.

use crate::{
    Context, error, openapi, place,
    request::Request,
    routes::{Route, Who},
};
use axum::{
    Router,
    extract::{Request as HttpRequest, State},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{Html, IntoResponse, Response},
    routing::get,
};
use database::Caller;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tracing::Instrument;

/// What this adds to every table.
pub const ROUTES: &[Route] = &[
    Route::get("/healthz", Who::Open, "Whether the function and its database answer"),
    Route::get("/openapi.json", Who::Open, "This interface as an OpenAPI 3.1 document"),
    Route::get("/docs", Who::Open, "This interface as a page"),
];

/// The complete application: `router` with `/healthz`, `/openapi.json`, `/docs`, and problem documents, request ids, trace
/// context, CORS and the look at where a request comes from around everything.
pub fn app(router: Router, tables: &[&[Route]], context: &Context) -> Router {
    let tables: Vec<&[Route]> = tables.iter().copied().chain([ROUTES]).collect();
    let document: Arc<str> = openapi::document(&tables).to_string().into();
    let page: Arc<str> = openapi::page(&tables).into();
    let open = Router::new()
        .route("/healthz", get(healthz).with_state(context.clone()))
        .route(
            "/openapi.json",
            get(move || async move { ([(header::CONTENT_TYPE, "application/json")], document.to_string()) }),
        )
        .route("/docs", get(move || async move { Html(page.to_string()) }));
    router
        .merge(open)
        .fallback(unknown)
        .method_not_allowed_fallback(wrong_method)
        .layer(from_fn(problems))
        .layer(cors(context))
        .layer(from_fn_with_state(context.clone(), place::guard))
        .layer(from_fn(identify))
}

async fn healthz(State(context): State<Context>) -> Response {
    let (caller, nothing) = (Caller::anonymous(), json!({}));
    let call = context.database.call::<Value>(&caller, "health", &nothing);
    match tokio::time::timeout(Duration::from_secs(2), call).await {
        Ok(Ok(health)) => axum::Json(health).into_response(),
        _ => crate::Error::unavailable("The database does not answer.", "Run `agentopia doctor`.").into_response(),
    }
}

async fn unknown(request: HttpRequest) -> Response {
    let detail = format!("There is nothing at {}.", request.uri().path());
    error::problem(StatusCode::NOT_FOUND, detail, "See /docs for what there is.".to_owned())
}

async fn wrong_method(request: HttpRequest) -> Response {
    let detail = format!("{} does not take {}.", request.uri().path(), request.method());
    error::problem(StatusCode::METHOD_NOT_ALLOWED, detail, "See /docs for what it takes.".to_owned())
}

/// Gives the request its id and its span, and says both in the response.
async fn identify(http: HttpRequest, next: Next) -> Response {
    let request = Request::from_headers(http.headers());
    let span = tracing::info_span!(
        "request",
        id = %request.id,
        trace = format_args!("{:032x}", request.trace.trace_id),
        method = %http.method(),
        path = http.uri().path(),
    );
    let started = std::time::Instant::now();
    let mut response = request.scope(next.run(http)).instrument(span.clone()).await;
    tracing::debug!(parent: &span, status = response.status().as_u16(), ms = started.elapsed().as_secs_f64() * 1e3, "answered");
    let headers = response.headers_mut();
    headers.insert("x-request-id", value(&request.id));
    headers.insert("traceparent", value(&request.trace));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn value(text: &impl std::fmt::Display) -> HeaderValue {
    text.to_string().parse().expect("ids are ASCII")
}

/// Turns a refusal that is not a document yet (an extractor's of axum, a layer's) into one. JSON is left: the account
/// service's errors have a shape of their own.
async fn problems(request: HttpRequest, next: Next) -> Response {
    let response = next.run(request).await;
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    if !(status.is_client_error() || status.is_server_error()) || kind.starts_with(b"application/") {
        return response;
    }
    let detail = status.canonical_reason().unwrap_or("The request was refused").to_owned() + ".";
    error::problem(status, detail, "See /docs for what this path takes.".to_owned())
}

fn cors(context: &Context) -> CorsLayer {
    let origins: Vec<HeaderValue> = context.origins.iter().filter_map(|origin| origin.parse().ok()).collect();
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers([
            header::AUTHORIZATION,
            header::CONTENT_TYPE,
            HeaderName::from_static("apikey"),
            HeaderName::from_static("x-client-info"),
            HeaderName::from_static("x-supabase-api-version"),
            HeaderName::from_static("traceparent"),
            HeaderName::from_static("last-event-id"),
        ])
        .expose_headers([HeaderName::from_static("x-request-id"), HeaderName::from_static("traceparent")])
        .max_age(Duration::from_secs(600))
}

#[cfg(test)]
mod tests;
