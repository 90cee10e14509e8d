//! A user's toolboxes.

use crate::{State, enrol};
use axum::{Json, extract::State as From};
use edge::{Error, Path, Query, User, token::Token};
use http::StatusCode;
use protocol::{
    ids::ToolboxId,
    toolbox::{Toolbox, ToolboxCreate, ToolboxCreated},
};
use serde::Deserialize;

pub(crate) async fn create(
    user: User,
    From(state): From<State>,
    edge::Json(request): edge::Json<ToolboxCreate>,
) -> Result<(StatusCode, Json<ToolboxCreated>), Error> {
    let created = match &request.provision {
        Some(wanted) => {
            let provisioning = state.provisioning.as_ref().ok_or_else(unprovisioned)?;
            provisioning.make(&user.caller(), &request.name, wanted).await?
        }
        None => {
            let token = Token::generate(enrol::PREFIX)?;
            let id = state.edge.database.toolbox_create(&user.caller(), &request.name, &token.hash()).await?;
            ToolboxCreated { id, enrolment_token: Some(token.into_text()), machine: None }
        }
    };
    Ok((StatusCode::CREATED, Json(created)))
}

fn unprovisioned() -> Error {
    Error::invalid(
        "This installation makes no machines: it names no release of dtma that they could install, or has no address that \
         they could reach.",
        "Make a toolbox without \"provision\", and install dtma on a machine of your own; or see infra/README.md.",
    )
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

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteQuery {
    /// The machine that was made for it stays, and goes on costing what it costs.
    #[serde(default)]
    keep_machine: bool,
}

pub(crate) async fn delete(
    user: User,
    Path(id): Path<ToolboxId>,
    Query(query): Query<DeleteQuery>,
    From(state): From<State>,
) -> Result<StatusCode, Error> {
    match state.provisioning.as_ref().filter(|_| !query.keep_machine) {
        Some(provisioning) => provisioning.destroy(&user.caller(), id).await?,
        None => state.edge.database.toolbox_delete(&user.caller(), id, query.keep_machine).await?,
    }
    Ok(StatusCode::NO_CONTENT)
}
