//! A user, signed in or by an API key.

use super::{Bearer, key};
use crate::{Context, Error};
use axum::extract::{FromRef, FromRequestParts};
use database::Caller;
use http::request::Parts;
use protocol::{chat::Secret, ids::UserId};

/// The user whose token or API key came with the request. 401 otherwise.
#[derive(Clone)]
pub struct User {
    pub id: UserId,
    /// The token of whoever is signed in; an API key is known to nobody but us.
    token: Option<Bearer>,
}

impl User {
    /// As the database knows them.
    pub fn caller(&self) -> Caller {
        let caller = Caller::user(self.id);
        match &self.token {
            Some(token) => caller.with_token(Secret::new(token.expose().to_owned())),
            None => caller,
        }
    }

    /// 403 for an API key: what would let a leaked one outlive its deletion needs somebody who is signed in.
    pub fn signed_in(self) -> Result<Self, Error> {
        if self.token.is_some() {
            return Ok(self);
        }
        Err(Error::forbidden(
            "An API key cannot make or delete API keys.",
            "Send the token of somebody who is signed in; `agentopia token` prints one.",
        ))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for User
where
    Context: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let bearer = Bearer::from_request_parts(parts, state).await?;
        let context = Context::from_ref(state);
        if key::is_one(&bearer) {
            return Ok(Self { id: key::owner(&context, &bearer).await?, token: None });
        }
        let id = context.verifier.verify(bearer.expose(), context.clock.seconds()).await?;
        Ok(Self { id, token: Some(bearer) })
    }
}
