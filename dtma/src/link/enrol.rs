//! Enrolment: the toolbox's public key and a token that its user made become an identity.

use super::{Client, Error};
use crate::{
    ledger::{Certificate, Enrolment, Identity},
    place::Place,
};
use protocol::{
    chat::Secret,
    toolbox::{EnrolReply, EnrolRequest},
};

/// `place` is where the gateway will be, and `certificate` what it shows there to those who call it over TLS.
pub async fn enrol(
    url: &str,
    token: &Secret,
    identity: &Identity,
    place: &Place,
    certificate: &Certificate,
) -> Result<Enrolment, Error> {
    let request = EnrolRequest {
        public_key: identity.0.public_key().to_string(),
        gateway: place.url(),
        version: env!("CARGO_PKG_VERSION").into(),
        certificate: Some(certificate.digest()),
    };
    let reply: EnrolReply = Client::new(url)?.post("/api/toolboxes/enrol", token.expose(), &request).await?;
    Client::new(&reply.control_plane)?;
    Ok(Enrolment {
        toolbox_id: reply.toolbox_id,
        owner: reply.owner,
        control_plane: reply.control_plane,
        capability_keys: reply.capability_keys,
        listen: place.listen().to_string(),
        host: place.host().map(str::to_owned),
    })
}
