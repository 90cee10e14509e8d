//! A JSON body, bounded and strict.

use crate::{Error, strict};
use axum::{body::Body, extract::FromRequest};
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

/// Reads `T` from a body of at most `LIMIT` bytes (one MiB unless the handler says otherwise).
///
/// 415 when it is not `application/json`, 413 when it is longer, 400 when it is not JSON or has a key twice, 422 when it
/// is JSON that `T` does not take.
#[derive(Clone, Copy, Debug)]
pub struct Json<T, const LIMIT: usize = 1_048_576>(pub T);

impl<T: DeserializeOwned, S: Send + Sync, const LIMIT: usize> FromRequest<S> for Json<T, LIMIT> {
    type Rejection = Error;

    async fn from_request(request: Request<Body>, _: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let kind = parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if !kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json")) {
            return Err(Error::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "The body is not marked as JSON.",
                "Send it with the header Content-Type: application/json.",
            ));
        }
        let declared =
            parts.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
        if declared.is_some_and(|length| length > LIMIT as u64) {
            return Err(too_large(LIMIT));
        }
        let bytes = Limited::new(body, LIMIT).collect().await.map_err(|error| {
            if error.downcast_ref::<LengthLimitError>().is_some() {
                too_large(LIMIT)
            } else {
                Error::malformed("The body ended before it was complete.", "Send the request again.")
            }
        })?;
        Self::read(&bytes.to_bytes())
    }
}

impl<T: DeserializeOwned, const LIMIT: usize> Json<T, LIMIT> {
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, Error> {
        strict::from_slice(bytes).map(Self).map_err(refusal)
    }
}

fn too_large(limit: usize) -> Error {
    Error::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("The body is longer than {} KiB.", limit / 1024),
        "Send less at once.",
    )
}

/// The message of `serde_json` names a place and a field, never a value that was sent: a wrong type is told as its kind.
fn refusal(error: serde_json::Error) -> Error {
    let place = format!("line {}, column {}", error.line(), error.column());
    let twice = error.to_string().contains(strict::TWICE);
    match error.classify() {
        _ if twice => Error::malformed(format!("A key appears twice in one object at {place}."), "Send each key once."),
        serde_json::error::Category::Data => Error::invalid(
            format!("The body does not fit: {}.", without_values(&error.to_string())),
            "Compare it with /openapi.json.",
        ),
        _ => Error::malformed(format!("The body is not JSON at {place}."), "Send one JSON value in UTF-8."),
    }
}

/// `invalid type: string "hunter2", expected …` -> `invalid type: string, expected …`: what was sent may be a secret.
fn without_values(message: &str) -> String {
    for what in ["invalid type: ", "invalid value: "] {
        if let Some(rest) = message.strip_prefix(what)
            && let Some(expected) = rest.rfind(", expected ")
        {
            let kind: String = rest[..expected].chars().take_while(|c| c.is_ascii_lowercase() || *c == ' ').collect();
            return format!("{what}{}{}", kind.trim_end(), &rest[expected..]);
        }
    }
    if let Some(rest) = message.strip_prefix("unknown variant `")
        && let Some(expected) = rest.rfind("`, expected ")
    {
        return format!("unknown variant{}", &rest[expected + 1..]);
    }
    message.to_owned()
}
