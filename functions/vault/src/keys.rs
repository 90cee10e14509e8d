//! A user's API keys: each is shown once, when it is made.

use crate::State;
use axum::{Json, extract::State as From};
use edge::{Error, KEY_PREFIX, Path, User, token::Token};
use http::StatusCode;
use protocol::{
    ids::ApiKeyId,
    vault::{ApiKey, ApiKeyCreate, ApiKeyCreated},
};

pub(crate) async fn create(
    user: User,
    From(state): From<State>,
    edge::Json(request): edge::Json<ApiKeyCreate>,
) -> Result<(StatusCode, Json<ApiKeyCreated>), Error> {
    let user = user.signed_in()?;
    let ApiKeyCreate { name, expires_at } = request;
    if expires_at.is_some_and(|end| end <= state.edge.clock.now()) {
        return Err(Error::invalid("The key would have expired already.", "Send a later expires_at, or none."));
    }
    let token = Token::generate(KEY_PREFIX)?;
    let made = state.edge.database.api_key_create(&user.caller(), &name, &token.hash(), expires_at).await?;
    Ok((StatusCode::CREATED, Json(ApiKeyCreated { made, key: token.into_text() })))
}

pub(crate) async fn list(user: User, From(state): From<State>) -> Result<Json<Vec<ApiKey>>, Error> {
    Ok(Json(state.edge.database.api_key_list(&user.caller()).await?))
}

pub(crate) async fn delete(
    user: User,
    Path(id): Path<ApiKeyId>,
    From(state): From<State>,
) -> Result<StatusCode, Error> {
    state.edge.database.api_key_delete(&user.signed_in()?.caller(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
