//! A user's agents.

use crate::State;
use axum::{Json, extract::State as From};
use edge::{Error, Path, User};
use http::StatusCode;
use protocol::{
    agent::{Agent, AgentUpdate},
    ids::AgentId,
};

pub(crate) async fn list(user: User, From(state): From<State>) -> Result<Json<Vec<Agent>>, Error> {
    Ok(Json(state.edge.database.agent_list(&user.caller()).await?))
}

pub(crate) async fn get(user: User, Path(id): Path<AgentId>, From(state): From<State>) -> Result<Json<Agent>, Error> {
    Ok(Json(state.edge.database.agent_get(&user.caller(), id).await?))
}

pub(crate) async fn update(
    user: User,
    Path(id): Path<AgentId>,
    From(state): From<State>,
    edge::Json(update): edge::Json<AgentUpdate>,
) -> Result<Json<Agent>, Error> {
    Ok(Json(state.edge.database.agent_update(&user.caller(), id, &update).await?))
}

pub(crate) async fn delete(user: User, Path(id): Path<AgentId>, From(state): From<State>) -> Result<StatusCode, Error> {
    let reachable = state.edge.database.agent_delete(&user.caller(), id).await?;
    state.tell(&reachable).await;
    Ok(StatusCode::NO_CONTENT)
}
