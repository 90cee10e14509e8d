//! A toolbox, by a token that it signed itself.

use super::Bearer;
use crate::{Context, Error};
use axum::extract::{FromRef, FromRequestParts};
use capability::{PublicKey, device};
use database::Caller;
use http::request::Parts;
use protocol::ids::{ToolboxId, UserId};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// How long a toolbox's key is taken from memory. Whatever a removed toolbox asks meanwhile finds no row.
const FRESH: i64 = 30;
/// Keys kept at once; one entry is about a hundred bytes.
const MOST: usize = 10_000;
/// Longer than a token can be valid, the allowance for clocks included.
const NONCE_KEPT: Duration = Duration::from_secs(180);

/// The toolbox that calls, and whose it is. 401 otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    pub toolbox: ToolboxId,
    pub owner: UserId,
}

impl Device {
    /// As the database knows it.
    pub fn caller(&self) -> Caller {
        Caller::toolbox(self.toolbox, self.owner)
    }
}

/// Keys of toolboxes, as looked up a moment ago.
#[derive(Clone, Default)]
pub struct Devices(Arc<Mutex<HashMap<ToolboxId, Known>>>);

#[derive(Clone, Copy)]
struct Known {
    key: PublicKey,
    owner: UserId,
    at: i64,
}

impl Devices {
    async fn known(&self, context: &Context, toolbox: ToolboxId) -> Result<Option<Known>, Error> {
        let now = context.clock.seconds();
        if let Some(known) = self.lock().get(&toolbox).filter(|known| (known.at..known.at + FRESH).contains(&now)) {
            return Ok(Some(*known));
        }
        let reply = match context.database.toolbox_key(&Caller::service(), toolbox).await {
            Ok(reply) => reply,
            Err(database::Error::NotFound { .. }) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        let known = Known { key: reply.public_key.parse().map_err(Error::internal)?, owner: reply.owner, at: now };
        let mut cache = self.lock();
        if cache.len() >= MOST {
            cache.retain(|_, known| now - known.at < FRESH);
        }
        if cache.len() < MOST {
            cache.insert(toolbox, known);
        }
        Ok(Some(known))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ToolboxId, Known>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Device
where
    Context: FromRef<S>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let bearer = Bearer::from_request_parts(parts, state).await?;
        let context = Context::from_ref(state);
        let claimed = device::claimed_toolbox(bearer.expose()).map_err(refused)?;
        let Some(known) = context.devices.known(&context, claimed).await? else {
            return Err(refused("unknown toolbox"));
        };
        let claims = device::verify(&known.key, bearer.expose(), context.clock.seconds()).map_err(refused)?;
        // A token works once. When that cannot be recorded, it does not work at all.
        let nonce = format!("{}:{}", claims.toolbox, claims.jti);
        if !context.ephemeral.once("device-nonce", &nonce, NONCE_KEPT).await.map_err(|error| {
            Error::unavailable("The request cannot be checked just now.", "Try again in a few seconds.")
                .with_source(error)
        })? {
            return Err(refused("used before"));
        }
        Ok(Self { toolbox: claims.toolbox, owner: known.owner })
    }
}

fn refused(why: impl std::fmt::Display) -> Error {
    tracing::debug!(%why, "device token refused");
    Error::unauthorized("Check the toolbox's clock; if it was removed, enrol it again.")
}
