//! Enrolment: a token that a user made turns a machine's key into a toolbox's.

use crate::{State, bounds};
use axum::{Json, extract::State as From};
use capability::PublicKey;
use database::Caller;
use edge::{Bearer, Error};
use protocol::toolbox::{EnrolReply, EnrolRequest};
use ring::{
    digest::{SHA256, digest},
    rand::{SecureRandom, SystemRandom},
};

/// Says in a log or a terminal what the text is, and lets a scanner for leaked secrets find it.
const PREFIX: &str = "agentopia_enrol_";

/// 32 random bytes as text. It is shown once; the database knows its hash.
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn generate() -> Result<Self, Error> {
        let mut bytes = [0; 32];
        SystemRandom::new().fill(&mut bytes).map_err(|_| Error::internal("the system gives no random numbers"))?;
        Ok(Self(format!("{PREFIX}{}", hex(&bytes))))
    }

    pub(crate) fn hash(&self) -> String {
        hash(&self.0)
    }

    pub(crate) fn into_text(self) -> String {
        self.0
    }
}

/// The token is random in full, so a plain hash is as good as a slow one.
fn hash(token: &str) -> String {
    hex(digest(&SHA256, token.as_bytes()).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) async fn enrol(
    token: Bearer,
    From(state): From<State>,
    edge::Json(request): edge::Json<EnrolRequest>,
) -> Result<Json<EnrolReply>, Error> {
    request.public_key.parse::<PublicKey>().map_err(|error| {
        Error::invalid(format!("The public key cannot be used: {error}."), "Send an Ed25519 key, base64url.")
    })?;
    bounds::gateway(&request.gateway)?;
    bounds::word(&request.version)?;
    bounds::certificate(request.certificate.as_deref())?;
    let enrolled = state.edge.database.toolbox_enrol(&Caller::service(), &hash(token.expose()), &request).await;
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
