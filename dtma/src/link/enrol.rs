//! Enrolment: the toolbox's public key and a token that its user made become an identity.

use super::{Client, Error};
use crate::ledger::{Enrolment, Identity};
use protocol::{
    chat::Secret,
    toolbox::{EnrolReply, EnrolRequest},
};

/// `listen` is where the gateway will be.
pub async fn enrol(url: &str, token: &Secret, identity: &Identity, listen: &str) -> Result<Enrolment, Error> {
    let request = EnrolRequest {
        public_key: identity.0.public_key().to_string(),
        gateway: crate::gateway_url(listen),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let reply: EnrolReply = Client::new(url)?.post("/api/toolboxes/enrol", token.expose(), &request).await?;
    Client::new(&reply.control_plane)?;
    Ok(Enrolment {
        toolbox_id: reply.toolbox_id,
        owner: reply.owner,
        control_plane: reply.control_plane,
        capability_keys: reply.capability_keys,
        listen: listen.into(),
    })
}
