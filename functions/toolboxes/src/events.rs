//! What has happened at a toolbox: it uploads, its user reads.

use crate::{State, bounds};
use axum::{Json, extract::State as From};
use edge::{Device, Error, Path, Query, User};
use protocol::{
    event::{EventReply, EventUpload, Recorded},
    ids::ToolboxId,
};
use serde::Deserialize;

const LIMIT: usize = 1024 * 1024;

pub(crate) async fn record(
    device: Device,
    From(state): From<State>,
    edge::Json(mut upload): edge::Json<EventUpload, LIMIT>,
) -> Result<Json<EventReply>, Error> {
    bounds::events(&mut upload)?;
    Ok(Json(state.edge.database.event_record(&device.caller(), &upload).await?))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    #[serde(default)]
    kind: Option<String>,
    /// The id of the last event that the reader has.
    #[serde(default)]
    before: Option<i64>,
    /// 100 when absent, 1000 at most.
    #[serde(default)]
    limit: Option<u32>,
}

pub(crate) async fn list(
    user: User,
    Path(toolbox): Path<ToolboxId>,
    Query(page): Query<Page>,
    From(state): From<State>,
) -> Result<Json<Vec<Recorded>>, Error> {
    let limit = page.limit.unwrap_or(100).clamp(1, 1000);
    let database = &state.edge.database;
    Ok(Json(database.event_list(&user.caller(), toolbox, page.kind.as_deref(), page.before, limit).await?))
}
