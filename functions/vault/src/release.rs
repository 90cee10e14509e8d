//! From the vault to a toolbox.

use crate::State;
use axum::{Json, extract::State as From};
use database::Caller;
use edge::{Device, Error};
use protocol::toolbox::{CredentialsReply, CredentialsRequest};
use sealing::delivery::{self, Delivery, DeliveryError};

pub(crate) async fn release(
    device: Device,
    From(state): From<State>,
    edge::Json(request): edge::Json<CredentialsRequest>,
) -> Result<Json<CredentialsReply>, Error> {
    // The token proves who calls; the signature, that this key is the toolbox's and not somebody's in between.
    let key = state.edge.database.toolbox_key(&Caller::service(), device.toolbox).await?;
    let key = key.public_key.parse().map_err(Error::internal)?;
    let to = delivery::verify(&request, device.toolbox, &key).map_err(refused)?;

    let release = state.vault.release(&device.caller(), request.server_id).await.map_err(database::Error::from)?;
    let now = state.edge.clock.seconds();
    let seal = |plain: &sealing::vault::Plain| {
        let delivery = Delivery {
            tenant: release.tenant,
            id: plain.id,
            version: plain.version,
            key: &plain.key,
            value: &plain.value,
            expires_at: plain.expires_at,
        };
        delivery::seal(&delivery, &to, &state.minter, now)
    };
    let sealed = release.credentials.iter().map(seal).collect::<Result<_, _>>().map_err(refused)?;
    Ok(Json(CredentialsReply { sealed, missing: release.missing }))
}

fn refused(error: DeliveryError) -> Error {
    match error {
        DeliveryError::Request => Error::forbidden(
            "The request is not signed with the key that this toolbox enrolled with.",
            "Enrol the toolbox again.",
        ),
        error => Error::malformed(format!("{error}."), "Make a new recipient key and nonce, and sign them."),
    }
}
