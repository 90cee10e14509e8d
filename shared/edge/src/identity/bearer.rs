//! `Authorization: Bearer …`.

use crate::Error;
use axum::extract::FromRequestParts;
use http::{header, request::Parts};
use protocol::chat::Secret;
use std::sync::Arc;

/// No token of ours is longer.
const LONGEST: usize = 8 * 1024;

/// The token as it came, not verified: for the route that takes an enrolment token, and for the other extractors.
#[derive(Clone)]
pub struct Bearer(Arc<Secret>);

impl Bearer {
    pub fn expose(&self) -> &str {
        self.0.expose()
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Bearer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let mut values = parts.headers.get_all(header::AUTHORIZATION).iter();
        // Two of them mean that somebody in between may have seen the other one.
        let (Some(value), None) = (values.next(), values.next()) else { return Err(missing()) };
        let (scheme, token) = value.to_str().ok().and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
        let token = token.trim();
        if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST || token.contains(' ') {
            return Err(missing());
        }
        Ok(Self(Arc::new(Secret::new(token.to_owned()))))
    }
}

fn missing() -> Error {
    Error::unauthorized("Send the header Authorization: Bearer <token>; `agentopia token` prints one.")
}
