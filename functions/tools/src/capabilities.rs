//! `POST /api/capabilities`: a short-lived token that lets an agent call what it was granted, at one toolbox.

use crate::State;
use axum::{Json, Router, extract::State as From, routing::post};
use capability::{Bearer, MintError};
use edge::{Error, Route, User, Who};
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
    let issued = state.edge.database.capability_issue(&user.caller(), &request).await?;
    let bearer = Bearer {
        toolbox: issued.toolbox_id,
        owner: issued.owner,
        agent: issued.agent_id,
        run: request.run_id,
        epoch: issued.epoch,
    };
    let claims = bearer.claims(issued.tools, issued.now, Some(issued.expires_at)).map_err(refused)?;
    let capability = state.minter.mint(&claims).map_err(refused)?;
    Ok(Json(CapabilityReply { capability, gateway: issued.gateway, expires_at: claims.exp }))
}

fn refused(error: MintError) -> Error {
    match error {
        MintError::TooLarge(_) => Error::conflict(
            "This agent may call more tools than one capability can carry.",
            "Use an agent with fewer servers, or take grants away with DELETE /api/grants/{id}.",
        ),
        // A grant that ends within this second.
        MintError::Life => Error::conflict("One of the agent's grants is just ending.", "Ask again in a second."),
        error => Error::internal(error),
    }
}
