//! Refusals in the shape that Supabase Auth's clients read: `{code, error_code, msg}`.

use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use serde_json::json;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The same for an unknown address and for a wrong password.
    #[error("Invalid login credentials")]
    Credentials,
    #[error("User already registered")]
    Registered,
    #[error("Unable to validate email address: invalid format")]
    Email,
    #[error("Password should be 8 to 256 characters long")]
    Password,
    #[error("Invalid Refresh Token: Refresh Token Not Found")]
    RefreshUnknown,
    #[error("Invalid Refresh Token: Already Used")]
    RefreshUsed,
    #[error("Session from session_id claim in JWT does not exist")]
    SessionOver,
    #[error("invalid JWT: sign in again")]
    Token,
    #[error("unsupported grant_type: use password or refresh_token")]
    Grant,
    #[error("Request rate limit reached: wait {0} seconds")]
    TooMany(u32),
    #[error("The account service is busy: try again in a second")]
    Busy,
    #[error("The database does not answer: try again in a few seconds")]
    Database(#[source] database::Error),
    #[error("Something went wrong on our side")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl Error {
    fn kind(&self) -> (StatusCode, &'static str) {
        match self {
            Self::Credentials => (StatusCode::BAD_REQUEST, "invalid_credentials"),
            Self::Registered => (StatusCode::UNPROCESSABLE_ENTITY, "user_already_exists"),
            Self::Email => (StatusCode::BAD_REQUEST, "validation_failed"),
            Self::Password => (StatusCode::UNPROCESSABLE_ENTITY, "weak_password"),
            Self::RefreshUnknown => (StatusCode::BAD_REQUEST, "refresh_token_not_found"),
            Self::RefreshUsed => (StatusCode::BAD_REQUEST, "refresh_token_already_used"),
            Self::SessionOver => (StatusCode::FORBIDDEN, "session_not_found"),
            Self::Token => (StatusCode::UNAUTHORIZED, "bad_jwt"),
            Self::Grant => (StatusCode::BAD_REQUEST, "validation_failed"),
            Self::TooMany(_) => (StatusCode::TOO_MANY_REQUESTS, "over_request_rate_limit"),
            Self::Busy => (StatusCode::TOO_MANY_REQUESTS, "over_request_rate_limit"),
            Self::Database(_) => (StatusCode::SERVICE_UNAVAILABLE, "unexpected_failure"),
            Self::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "unexpected_failure"),
        }
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        match error {
            database::Error::Unavailable(_) => Self::Database(error),
            error => Self::Internal(Box::new(error)),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, error_code) = self.kind();
        if let Self::Database(source) = &self {
            tracing::error!(cause = %source, "the account service cannot reach its database");
        }
        if let Self::Internal(source) = &self {
            tracing::error!(cause = %source, "the account service failed");
        }
        let mut body = json!({"code": status.as_u16(), "error_code": error_code, "msg": self.to_string()});
        if matches!(self, Self::Password) {
            body["weak_password"] = json!({"reasons": ["length"]});
        }
        let mut response = (status, axum::Json(body)).into_response();
        let wait = match self {
            Self::TooMany(seconds) => Some(seconds),
            Self::Busy => Some(1),
            _ => None,
        };
        if let Some(seconds) = wait {
            response.headers_mut().insert(header::RETRY_AFTER, seconds.into());
        }
        response
    }
}
