//! Refusals and failures, as RFC 9457 problem documents that say what to do.

use crate::{reach::Unreachable, request};
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use protocol::problem::Problem;

type Source = Box<dyn std::error::Error + Send + Sync>;

/// What a handler answers instead of its result. The cause, when there is one, is logged when the answer is made, and
/// never sent.
#[derive(Debug, thiserror::Error)]
#[error("{}: {}", .0.status, .0.detail)]
pub struct Error(Box<Inner>);

#[derive(Debug)]
struct Inner {
    status: StatusCode,
    detail: String,
    fix: String,
    retry_after: Option<u32>,
    source: Option<Source>,
}

impl Error {
    pub fn new(status: StatusCode, detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self(Box::new(Inner { status, detail: detail.into(), fix: fix.into(), retry_after: None, source: None }))
    }

    /// 400: the request is not one.
    pub fn malformed(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail, fix)
    }

    /// 401. The detail is always the same to the caller for one kind of proof: it does not say which check failed.
    pub fn unauthorized(fix: impl Into<String>) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, "The request carries no valid proof of who is asking.", fix)
    }

    /// 403.
    pub fn forbidden(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(StatusCode::FORBIDDEN, detail, fix)
    }

    /// 404, for what does not exist and for what belongs to somebody else alike: `not_found("agent")`.
    pub fn not_found(noun: &str) -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            format!("There is no such {noun}."),
            format!("Check the id of the {noun}; the list of yours has those that exist."),
        )
    }

    /// 409.
    pub fn conflict(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(StatusCode::CONFLICT, detail, fix)
    }

    /// 422: understood, and cannot be done like this.
    pub fn invalid(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        Self::new(StatusCode::UNPROCESSABLE_ENTITY, detail, fix)
    }

    /// 429, with the seconds to wait.
    pub fn too_many(detail: impl Into<String>, fix: impl Into<String>, retry_after: u32) -> Self {
        let mut error = Self::new(StatusCode::TOO_MANY_REQUESTS, detail, fix);
        error.0.retry_after = Some(retry_after);
        error
    }

    /// 503: something that this needs does not answer.
    pub fn unavailable(detail: impl Into<String>, fix: impl Into<String>) -> Self {
        let mut error = Self::new(StatusCode::SERVICE_UNAVAILABLE, detail, fix);
        error.0.retry_after = Some(2);
        error
    }

    /// 500, with a cause for the log.
    pub fn internal(source: impl Into<Source>) -> Self {
        Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "Something went wrong on our side.",
            "Try again; if it stays, look for this request's id in the log.",
        )
        .with_source(source)
    }

    pub fn with_source(mut self, source: impl Into<Source>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    pub fn detail(&self) -> &str {
        &self.0.detail
    }
}

impl From<database::Error> for Error {
    fn from(error: database::Error) -> Self {
        use database::Error as E;
        match error {
            E::NotFound { message, fix } => Self::new(StatusCode::NOT_FOUND, message, fix),
            E::Forbidden { message, fix } => Self::forbidden(message, fix),
            E::Conflict { message, fix } => Self::conflict(message, fix),
            E::Invalid { message, fix } => Self::invalid(message, fix),
            E::TooMany { message, fix } => Self::too_many(message, fix, 60),
            error @ E::Unavailable(_) => {
                Self::unavailable("The database does not answer.", "Try again in a few seconds.").with_source(error)
            }
            error => Self::internal(error),
        }
    }
}

impl From<Unreachable> for Error {
    fn from(error: Unreachable) -> Self {
        const ENROL: &str = "Enrol the toolbox again: dtma enrol --again, with a new enrolment token.";
        match error {
            Unreachable::Address => {
                Self::unavailable("The toolbox's gateway is at an address that may not be called.", ENROL)
            }
            Unreachable::Certificate => {
                Self::unavailable("The toolbox's gateway speaks TLS, but enrolled without its certificate.", ENROL)
            }
            Unreachable::Database(error) => error.into(),
            Unreachable::Client(error) => Self::internal(error),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let inner = *self.0;
        if let Some(source) = &inner.source {
            tracing::error!(status = inner.status.as_u16(), cause = chain(source.as_ref()), "{}", inner.detail);
        }
        let mut response = problem(inner.status, inner.detail, inner.fix);
        if let Some(seconds) = inner.retry_after {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The response for a problem, with the id of the request under way.
pub(crate) fn problem(status: StatusCode, detail: String, fix: String) -> Response {
    let (kind, title) = kind(status);
    let body = Problem {
        kind: format!("/problems/{kind}"),
        title: title.to_owned(),
        status: status.as_u16(),
        detail: Some(detail),
        instance: request::current().map(|request| request.id.to_string()),
        fix: Some(fix),
    };
    let body = serde_json::to_vec(&body).expect("a problem is plain JSON");
    let mut response = (status, body).into_response();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    if status == StatusCode::UNAUTHORIZED {
        response.headers_mut().insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    response
}

fn kind(status: StatusCode) -> (&'static str, &'static str) {
    match status.as_u16() {
        400 => ("malformed", "The request cannot be read"),
        401 => ("unauthorized", "Sign in first"),
        403 => ("forbidden", "Not allowed"),
        404 => ("not-found", "Not found"),
        405 => ("method-not-allowed", "Not with this method"),
        408 => ("timeout", "The request took too long"),
        409 => ("conflict", "It does not fit the present state"),
        413 => ("too-large", "The request is too large"),
        415 => ("media-type", "Not in this format"),
        422 => ("invalid", "The request cannot be carried out"),
        429 => ("too-many", "Too many requests"),
        502..=504 => ("unavailable", "Not available"),
        500 | 501 | 505.. => ("internal", "Something went wrong"),
        _ => ("refused", "Refused"),
    }
}

/// The whole chain of causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text.push_str(": ");
        text.push_str(&error.to_string());
        next = error.source();
    }
    text
}
