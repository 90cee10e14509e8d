//! What a path and a query string say.

use crate::Error;
use axum::extract::{FromRequestParts, Query as AxumQuery, RawPathParams};
use http::request::Parts;
use serde::de::DeserializeOwned;

/// The varying parts of a path. What cannot be an id is an id of nothing: 404, as for any other unknown one.
#[derive(Clone, Copy, Debug)]
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(value)) => Ok(Self(value)),
            Err(_) => {
                // The part before the first parameter names the thing: `/api/agents/{id}` -> "agent".
                let parameters = RawPathParams::from_request_parts(parts, state).await.ok();
                let first = parameters.as_ref().and_then(|all| all.iter().next().map(|(_, value)| value.to_owned()));
                let path = parts.uri.path();
                let noun = first.and_then(|value| path.split(&format!("/{value}")).next()?.rsplit('/').next());
                Err(Error::not_found(noun.map_or("thing", singular)))
            }
        }
    }
}

/// `toolboxes` -> `toolbox`, `agents` -> `agent`.
fn singular(plural: &str) -> &str {
    plural.strip_suffix("es").filter(|noun| noun.ends_with('x')).unwrap_or_else(|| plural.trim_end_matches('s'))
}

/// The query string; an unknown key is ignored only where `T` allows it, a repeated one is refused.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match AxumQuery::<T>::from_request_parts(parts, state).await {
            Ok(AxumQuery(value)) => Ok(Self(value)),
            Err(rejection) => Err(Error::malformed(
                format!("The query string cannot be read: {}.", rejection.body_text().trim_end_matches('.')),
                "Compare the parameters with /openapi.json.",
            )),
        }
    }
}
