//! What PostgREST's answers mean.

use crate::Error;
use reqwest::StatusCode;
use serde::{Deserialize, de::DeserializeOwned};

/// PostgREST's error: `code` is a SQLSTATE, or begins with `PGRST`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Raised {
    code: String,
    message: String,
    hint: Option<String>,
}

#[derive(Debug, thiserror::Error)]
#[error("PostgREST answered {status}: {code} {message}")]
struct Refusal {
    status: StatusCode,
    code: String,
    message: String,
}

pub(super) fn result<R: DeserializeOwned>(body: &[u8]) -> Result<R, Error> {
    // 204 where a function returned nothing.
    serde_json::from_slice(if body.is_empty() { b"null" } else { body }).map_err(Error::unexpected)
}

pub(super) fn refusal(status: StatusCode, body: &[u8]) -> Error {
    // A proxy in between answers with a page; its status is all that it says.
    let Raised { code, message, hint } = serde_json::from_slice(body).unwrap_or_default();
    let cause = Refusal { status, code: code.clone(), message: message.clone() };
    match code.as_str() {
        // The JWT has expired, or is not one that PostgREST knows.
        "PGRST301" | "PGRST302" | "PGRST303" => Error::Forbidden {
            message: "the database does not accept this sign-in".into(),
            fix: "Sign in again.".into(),
        },
        _ if status == StatusCode::TOO_MANY_REQUESTS && !code.starts_with("PT") => Error::unavailable(cause),
        // PGRST000 to PGRST003: it has no connection; and what stands before it says 5xx.
        "" | "PGRST000" | "PGRST001" | "PGRST002" | "PGRST003" if status.is_server_error() => Error::unavailable(cause),
        _ => Error::from_state(&code, &message, hint.as_deref(), cause.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: u16, body: &str) -> Error {
        refusal(StatusCode::from_u16(status).expect("a status"), body.as_bytes())
    }

    #[test]
    fn a_raised_state_is_the_same_error_as_at_the_direct_door() {
        let body = r#"{"code":"PT404","details":null,"hint":"list them","message":"no such agent"}"#;
        let Error::NotFound { message, fix } = refused(404, body) else { panic!("not found") };
        assert_eq!((message.as_str(), fix.as_str()), ("no such agent", "list them"));
        let denied = r#"{"code":"42501","message":"permission denied for function agent_list"}"#;
        let Error::Forbidden { message, .. } = refused(401, denied) else { panic!("forbidden") };
        assert!(!message.contains("agent_list"), "{message}");
        assert!(matches!(refused(500, r#"{"code":"57014","message":"timeout"}"#), Error::Unavailable(_)));
        assert!(matches!(refused(404, r#"{"code":"PGRST202","message":"no function"}"#), Error::Unexpected(_)));
    }

    #[test]
    fn what_stands_in_between_is_unavailable() {
        assert!(matches!(refused(502, "<html>"), Error::Unavailable(_)));
        assert!(matches!(refused(503, r#"{"code":"PGRST002","message":"schema cache"}"#), Error::Unavailable(_)));
        assert!(matches!(refused(429, r#"{"message":"slow down"}"#), Error::Unavailable(_)));
        assert!(matches!(refused(429, r#"{"code":"PT429","message":"slow down"}"#), Error::TooMany { .. }));
        assert!(matches!(refused(404, "<html>"), Error::Unexpected(_)));
    }

    #[test]
    fn an_expired_sign_in_says_sign_in_again() {
        let body = r#"{"code":"PGRST301","message":"JWT expired"}"#;
        assert!(matches!(refused(401, body), Error::Forbidden { fix, .. } if fix == "Sign in again."));
    }
}
