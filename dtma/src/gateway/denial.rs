//! Ways to say no. None of them names a tool, a server or a user that the caller did not name.

use axum::{
    body::Body,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mcp::reply;
use protocol::problem::Problem;
use serde_json::Value;

#[derive(Debug)]
pub(super) enum Denial {
    /// The request never became a message.
    Http { status: StatusCode, detail: &'static str, fix: &'static str, challenge: Option<&'static str> },
    /// An answer to a message.
    Rpc { status: StatusCode, id: Option<String>, code: i64, message: String, data: Option<Value> },
}

impl Denial {
    pub(super) fn http(status: StatusCode, detail: &'static str, fix: &'static str) -> Self {
        Self::Http { status, detail, fix, challenge: None }
    }

    /// The token is missing or no good.
    pub(super) fn token(detail: &'static str, challenge: &'static str) -> Self {
        Self::Http {
            status: StatusCode::UNAUTHORIZED,
            detail,
            fix: "Send a capability for this toolbox as the bearer; `agentopia capability` prints one.",
            challenge: Some(challenge),
        }
    }

    /// An error that travels as an ordinary answer.
    pub(super) fn rpc(id: Option<&str>, code: i64, message: impl Into<String>) -> Self {
        Self::rpc_with(StatusCode::OK, id, code, message)
    }

    pub(super) fn rpc_with(status: StatusCode, id: Option<&str>, code: i64, message: impl Into<String>) -> Self {
        Self::Rpc { status, id: id.map(str::to_owned), code, message: message.into(), data: None }
    }
}

impl IntoResponse for Denial {
    fn into_response(self) -> Response {
        match self {
            Self::Http { status, detail, fix, challenge } => {
                let title = status.canonical_reason().unwrap_or("Refused");
                let problem = Problem {
                    kind: format!("/problems/{}", title.to_lowercase().replace(' ', "-")),
                    title: title.into(),
                    status: status.as_u16(),
                    detail: Some(detail.into()),
                    instance: None,
                    fix: Some(fix.into()),
                };
                // A struct of strings and a number can always be written.
                let body = serde_json::to_vec(&problem).unwrap_or_default();
                let mut response = typed(status, "application/problem+json", body);
                if let Some(challenge) = challenge {
                    response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
                }
                response
            }
            Self::Rpc { status, id, code, message, data } => {
                json(status, reply::error(id.as_deref(), code, &message, data.as_ref()))
            }
        }
    }
}

pub(super) fn json(status: StatusCode, body: impl Into<Body>) -> Response {
    typed(status, "application/json", body)
}

fn typed(status: StatusCode, kind: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
