//! Check-in: one request in which a toolbox reports and hears.

use crate::{State, bounds};
use axum::{Json, extract::State as From};
use edge::{Device, Error};
use protocol::toolbox::{CheckInReply, CheckInRequest};

/// Definitions of all tools of a hundred servers may come at once.
const LIMIT: usize = 16 * 1024 * 1024;

pub(crate) async fn checkin(
    device: Device,
    From(state): From<State>,
    edge::Json(mut request): edge::Json<CheckInRequest, LIMIT>,
) -> Result<Json<CheckInReply>, Error> {
    bounds::checkin(&mut request)?;
    let classify = |tool: &protocol::server::Tool| domain::risk::classify(&tool.name, &tool.definition);
    let reply = state.edge.database.toolbox_checkin(&device.caller(), &request, classify).await?;
    Ok(Json(CheckInReply { capability_keys: (*state.capability_keys).clone(), ..reply }))
}
