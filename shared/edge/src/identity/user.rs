//! A signed-in user.

use super::Bearer;
use crate::{Context, Error};
use axum::extract::{FromRef, FromRequestParts};
use database::Caller;
use http::request::Parts;
use protocol::{chat::Secret, ids::UserId};

/// The user whose token came with the request. 401 otherwise.
#[derive(Clone)]
pub struct User {
    pub id: UserId,
    pub token: Bearer,
}

impl User {
    /// As the database knows them.
    pub fn caller(&self) -> Caller {
        Caller::user(self.id).with_token(Secret::new(self.token.expose().to_owned()))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for User
where
    Context: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let token = Bearer::from_request_parts(parts, state).await?;
        let context = Context::from_ref(state);
        let id = context.verifier.verify(token.expose(), context.clock.seconds()).await?;
        Ok(Self { id, token })
    }
}
