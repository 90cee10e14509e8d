//! `POST /api/capabilities`: a short-lived token that lets an agent call what it was granted, at one toolbox.

use crate::State;
use axum::{Json, Router, extract::State as From, routing::post};
use edge::{Error, Route, User, Who, mint};
use protocol::capability::{CapabilityReply, CapabilityRequest};

pub(crate) const CREATE: Route =
    Route::post("/api/capabilities", Who::User, "A capability for one of your agents at one of your toolboxes");

pub(crate) fn router() -> Router<State> {
    Router::new().route(CREATE.path, post(create))
}

async fn create(
    user: User,
    From(state): From<State>,
    edge::Json(request): edge::Json<CapabilityRequest>,
) -> Result<Json<CapabilityReply>, Error> {
    let minted = mint::capability(&state.edge.database, &state.minter, &user.caller(), &request).await?;
    Ok(Json(CapabilityReply { capability: minted.token, gateway: minted.gateway, expires_at: minted.expires_at }))
}
