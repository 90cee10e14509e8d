//! `/auth/v1`, as `@supabase/auth-js` calls it.

use super::{
    Accounts,
    error::Error,
    tokens::Claims,
    wire::{self, Grant, GrantType, Scope, Session, SignUp, Update},
};
use axum::{
    Json, Router,
    extract::{FromRequestParts, State},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use edge::{Bearer, Query, Route, Who};
use http::{HeaderValue, StatusCode, header, request::Parts};
use serde_json::{Value, json};

pub const ROUTES: &[Route] = &[
    Route::post("/auth/v1/signup", Who::Open, "Makes an account and signs in"),
    Route::post("/auth/v1/token", Who::Open, "Signs in with a password, or again with a refresh token")
        .with_query(&["grant_type"]),
    Route::get("/auth/v1/user", Who::User, "Your account"),
    Route::put("/auth/v1/user", Who::User, "Changes address, password or data of your account"),
    Route::post("/auth/v1/logout", Who::User, "Ends sessions").with_query(&["scope"]),
    Route::get("/auth/v1/settings", Who::Open, "How one can sign in"),
    Route::get("/auth/v1/health", Who::Open, "Whether the account service runs"),
    Route::get("/auth/v1/.well-known/jwks.json", Who::Open, "The keys that tokens are checked with"),
];

pub fn router(accounts: Accounts) -> Router {
    Router::new()
        .route("/auth/v1/signup", post(sign_up))
        .route("/auth/v1/token", post(token))
        .route("/auth/v1/user", get(user).put(update))
        .route("/auth/v1/logout", post(sign_out))
        .route("/auth/v1/settings", get(|| async { Json(wire::settings()) }))
        .route("/auth/v1/health", get(health))
        .route("/auth/v1/.well-known/jwks.json", get(keys))
        .with_state(accounts)
}

/// Whose session it is, before anything else of the request is looked at.
impl FromRequestParts<Accounts> for Claims {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, accounts: &Accounts) -> Result<Self, Response> {
        let token = Bearer::from_request_parts(parts, accounts).await.map_err(IntoResponse::into_response)?;
        accounts.claims(&token).await.map_err(IntoResponse::into_response)
    }
}

/// 16 KiB: an account's data is small.
type Body<T> = edge::Json<T, 16384>;

async fn sign_up(State(accounts): State<Accounts>, edge::Json(body): Body<SignUp>) -> Result<Json<Session>, Error> {
    accounts.sign_up(&body.email, body.password, body.data).await.map(Json)
}

async fn token(
    State(accounts): State<Accounts>,
    Query(query): Query<GrantType>,
    edge::Json(body): Body<Grant>,
) -> Result<Json<Session>, Error> {
    let session = match (query.grant_type.as_str(), body) {
        ("password", Grant { email: Some(email), password: Some(password), .. }) => {
            accounts.sign_in(&email, password).await
        }
        ("password", _) => Err(Error::Credentials),
        ("refresh_token", Grant { refresh_token: Some(token), .. }) => accounts.refresh(&token).await,
        ("refresh_token", _) => Err(Error::RefreshUnknown),
        _ => Err(Error::Grant),
    };
    session.map(Json)
}

async fn user(State(accounts): State<Accounts>, claims: Claims) -> Result<Json<Value>, Error> {
    accounts.user(&claims).await.map(Json)
}

async fn update(
    State(accounts): State<Accounts>,
    claims: Claims,
    edge::Json(body): Body<Update>,
) -> Result<Json<Value>, Error> {
    accounts.update(&claims, body).await.map(Json)
}

async fn sign_out(
    State(accounts): State<Accounts>,
    claims: Claims,
    Query(query): Query<Scope>,
) -> Result<StatusCode, Error> {
    accounts.sign_out(&claims, query.scope.as_deref().unwrap_or("global")).await?;
    Ok(StatusCode::NO_CONTENT)
}

async fn health() -> Json<Value> {
    Json(
        json!({"name": "GoTrue", "version": env!("CARGO_PKG_VERSION"), "description": "Agentopia's local account service"}),
    )
}

async fn keys(State(accounts): State<Accounts>) -> ([(header::HeaderName, HeaderValue); 1], Json<Value>) {
    let keys = serde_json::to_value(accounts.0.signer.set()).expect("a key set is plain JSON");
    ([(header::CACHE_CONTROL, HeaderValue::from_static("public, max-age=600"))], Json(keys))
}
