//! Enrolment: a token that a user made turns a machine's key into a toolbox's.

use crate::{State, bounds};
use axum::{Json, extract::State as From};
use capability::PublicKey;
use database::Caller;
use edge::{Bearer, Error, token};
use protocol::toolbox::{EnrolReply, EnrolRequest};

/// What an enrolment token begins with.
pub(crate) const PREFIX: &str = "agentopia_enrol_";

pub(crate) async fn enrol(
    proof: Bearer,
    From(state): From<State>,
    edge::Json(request): edge::Json<EnrolRequest>,
) -> Result<Json<EnrolReply>, Error> {
    request.public_key.parse::<PublicKey>().map_err(|error| {
        Error::invalid(format!("The public key cannot be used: {error}."), "Send an Ed25519 key, base64url.")
    })?;
    bounds::gateway(&request.gateway)?;
    bounds::word(&request.version)?;
    bounds::certificate(request.certificate.as_deref())?;
    let enrolled = state.edge.database.toolbox_enrol(&Caller::service(), &token::hash(proof.expose()), &request).await;
    let enrolled = enrolled.map_err(|error| match error {
        // What is wrong is the proof of who asks.
        database::Error::Forbidden { fix, .. } => Error::unauthorized(fix),
        error => error.into(),
    })?;
    Ok(Json(EnrolReply {
        toolbox_id: enrolled.toolbox_id,
        owner: enrolled.owner,
        capability_keys: (*state.capability_keys).clone(),
        control_plane: state.control_plane.to_string(),
    }))
}
