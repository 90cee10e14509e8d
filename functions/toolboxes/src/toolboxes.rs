//! A user's toolboxes.

use crate::{State, enrol::Token};
use axum::{Json, extract::State as From};
use edge::{Error, Path, User};
use http::StatusCode;
use protocol::{
    ids::ToolboxId,
    toolbox::{Toolbox, ToolboxCreate, ToolboxCreated},
};

pub(crate) async fn create(
    user: User,
    From(state): From<State>,
    edge::Json(request): edge::Json<ToolboxCreate>,
) -> Result<(StatusCode, Json<ToolboxCreated>), Error> {
    let token = Token::generate()?;
    let id = state.edge.database.toolbox_create(&user.caller(), &request.name, &token.hash()).await?;
    Ok((StatusCode::CREATED, Json(ToolboxCreated { id, enrolment_token: token.into_text() })))
}

pub(crate) async fn list(user: User, From(state): From<State>) -> Result<Json<Vec<Toolbox>>, Error> {
    Ok(Json(state.edge.database.toolbox_list(&user.caller()).await?))
}

pub(crate) async fn get(
    user: User,
    Path(id): Path<ToolboxId>,
    From(state): From<State>,
) -> Result<Json<Toolbox>, Error> {
    Ok(Json(state.edge.database.toolbox_get(&user.caller(), id).await?))
}

pub(crate) async fn delete(
    user: User,
    Path(id): Path<ToolboxId>,
    From(state): From<State>,
) -> Result<StatusCode, Error> {
    state.edge.database.toolbox_delete(&user.caller(), id).await?;
    Ok(StatusCode::NO_CONTENT)
}
