//! A user's own credentials: values in, names and dates out.

use crate::State;
use axum::{Json, extract::State as From};
use database::vault::Written;
use edge::{Error, Path, Query, User};
use http::StatusCode;
use protocol::{
    ids::CredentialId,
    vault::{Access, Credential, CredentialCreate, CredentialRotate},
};
use serde::Deserialize;

pub(crate) async fn create(
    user: User,
    From(state): From<State>,
    edge::Json(request): edge::Json<CredentialCreate>,
) -> Result<(StatusCode, Json<Credential>), Error> {
    let CredentialCreate { server, key, value, expires_at } = request;
    if expires_at.is_some_and(|end| end <= state.edge.clock.now()) {
        return Err(Error::invalid("The credential would have expired already.", "Send a later expires_at, or none."));
    }
    let stored = state.vault.store(&user.caller(), &server, &key, &value, expires_at).await;
    let credential = told(&state, stored.map_err(database::Error::from)?).await;
    Ok((StatusCode::CREATED, Json(credential)))
}

pub(crate) async fn list(user: User, From(state): From<State>) -> Result<Json<Vec<Credential>>, Error> {
    Ok(Json(state.edge.database.credential_list(&user.caller()).await?))
}

pub(crate) async fn rotate(
    user: User,
    Path(id): Path<CredentialId>,
    From(state): From<State>,
    edge::Json(request): edge::Json<CredentialRotate>,
) -> Result<Json<Credential>, Error> {
    let rotated = state.vault.rotate(&user.caller(), id, &request.value).await;
    Ok(Json(told(&state, rotated.map_err(database::Error::from)?).await))
}

pub(crate) async fn delete(
    user: User,
    Path(id): Path<CredentialId>,
    From(state): From<State>,
) -> Result<StatusCode, Error> {
    let toolboxes = state.edge.database.credential_delete(&user.caller(), id).await?;
    state.tell(&toolboxes).await;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AuditQuery {
    limit: Option<u32>,
}

pub(crate) async fn audit(
    user: User,
    Query(query): Query<AuditQuery>,
    From(state): From<State>,
) -> Result<Json<Vec<Access>>, Error> {
    let limit = query.limit.unwrap_or(200).min(1000);
    Ok(Json(state.edge.database.access_list(&user.caller(), limit).await?))
}

async fn told(state: &State, written: Written) -> Credential {
    state.tell(&written.toolboxes).await;
    written.credential
}
