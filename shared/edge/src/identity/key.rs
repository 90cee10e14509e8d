//! API keys: a program's stand-in for its user.

use super::Bearer;
use crate::{Context, Error, token};
use database::Caller;
use protocol::ids::UserId;

/// What an API key begins with; no JWT does.
pub const PREFIX: &str = "agentopia_key_";

pub(super) fn is_one(bearer: &Bearer) -> bool {
    bearer.expose().starts_with(PREFIX)
}

/// Whose it is. Asked each time, so that a key which was deleted is good for nothing from then on.
pub(super) async fn owner(context: &Context, key: &Bearer) -> Result<UserId, Error> {
    let owner = context.database.api_key_owner(&Caller::service(), &token::hash(key.expose())).await?;
    owner.ok_or_else(|| {
        tracing::debug!("API key refused");
        Error::unauthorized("Make a new API key with `agentopia keys create`; this one is unknown, deleted or expired.")
    })
}
