//! `/api/grants`: a user gives one of their agents a tool, or takes it away.

use crate::State;
use axum::{
    Json, Router,
    extract::State as From,
    routing::{delete, get},
};
use capability::is_usable_schema;
use edge::{Error, Path, Query, Route, User, Who};
use http::StatusCode;
use protocol::{
    grant::{Grant, GrantCreate},
    ids::{AgentId, GrantId},
};
use serde::Deserialize;

pub(crate) const LIST: Route =
    Route::get("/api/grants", Who::User, "Your grants, newest first").with_query(&["agent_id"]);
pub(crate) const CREATE: Route = Route::post("/api/grants", Who::User, "Give one of your agents a tool");
pub(crate) const DELETE: Route = Route::delete("/api/grants/{id}", Who::User, "Take a grant away, now");

pub(crate) fn router() -> Router<State> {
    Router::new().route(LIST.path, get(list).post(create)).route(DELETE.path, delete(revoke))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    agent_id: Option<AgentId>,
}

async fn list(user: User, Query(filter): Query<Filter>, From(state): From<State>) -> Result<Json<Vec<Grant>>, Error> {
    Ok(Json(state.edge.database.grant_list(&user.caller(), filter.agent_id).await?))
}

async fn create(
    user: User,
    From(state): From<State>,
    edge::Json(request): edge::Json<GrantCreate>,
) -> Result<(StatusCode, Json<Grant>), Error> {
    // A toolbox refuses every call under a schema that it cannot use; better said here.
    if request.args.as_ref().is_some_and(|args| !is_usable_schema(args)) {
        return Err(Error::invalid(
            "The condition on the arguments is not a JSON Schema that can be checked.",
            "Send a schema without references to elsewhere, or none.",
        ));
    }
    Ok((StatusCode::CREATED, Json(state.edge.database.grant_create(&user.caller(), &request).await?)))
}

/// Every capability that the agent has ends with it, so the toolboxes hear of it at once.
async fn revoke(user: User, Path(id): Path<GrantId>, From(state): From<State>) -> Result<StatusCode, Error> {
    let reachable = state.edge.database.grant_delete(&user.caller(), id).await?;
    futures::future::join_all(reachable.iter().map(|one| state.wake.toolbox(one.id, &one.gateway))).await;
    Ok(StatusCode::NO_CONTENT)
}
