//! `/api/usage`: what became of the calls that agents made.

use crate::State;
use axum::{Json, Router, extract::State as From, routing::get};
use edge::{Error, Query, Route, User, Who};
use protocol::{Timestamp, event::Usage, ids::AgentId};
use serde::Deserialize;

pub(crate) const GET: Route =
    Route::get("/api/usage", Who::User, "Calls by agent, server and tool, of the last 30 days or since a time")
        .with_query(&["since", "agent_id"]);

pub(crate) fn router() -> Router<State> {
    Router::new().route(GET.path, get(read))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Filter {
    #[serde(default)]
    since: Option<Timestamp>,
    #[serde(default)]
    agent_id: Option<AgentId>,
}

async fn read(user: User, Query(filter): Query<Filter>, From(state): From<State>) -> Result<Json<Vec<Usage>>, Error> {
    Ok(Json(state.edge.database.usage_get(&user.caller(), filter.since, filter.agent_id).await?))
}
