//! A user who runs this installation.

use super::User;
use crate::{Context, Error};
use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

/// 401 without a user, 403 for any other user.
#[derive(Clone)]
pub struct Operator(pub User);

impl<S: Send + Sync> FromRequestParts<S> for Operator
where
    Context: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let user = User::from_request_parts(parts, state).await?;
        if Context::from_ref(state).operators.contains(&user.id) {
            return Ok(Self(user));
        }
        Err(Error::forbidden(
            "Only an operator of this installation may do this.",
            "Ask whoever runs it, or sign in with the owner's account.",
        ))
    }
}
