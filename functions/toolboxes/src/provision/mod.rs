//! Machines for toolboxes: droplets in a user's own account at DigitalOcean.
//!
//! A machine costs its user money, so none is asked for twice: each carries a tag of its toolbox, the database lets one
//! attempt at a time ask, and every attempt looks for the tag before it asks. An attempt that was answered with a refusal
//! leaves nothing behind; one whose answer was lost holds its place until DigitalOcean surely lists what it has made.

mod account;
mod failure;
mod names;
mod user_data;

pub use user_data::{Installation, Unfit};

use crate::enrol;
use account::{Account, Api, Wanted};
use database::{Caller, Database, machine::Held};
use edge::{Error, token::Token};
use failure::Failure;
use protocol::{
    chat::Secret,
    ids::ToolboxId,
    toolbox::{Provision, ToolboxCreated},
};
use sealing::{KeyWrap, Vault, vault::Released};
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep};

pub const DIGITALOCEAN: &str = "https://api.digitalocean.com";

/// For one attempt. The database holds its place for more than twice as long.
const LIMIT: Duration = Duration::from_secs(40);
/// Before a look for a machine whose answer was lost.
const SETTLE: Duration = Duration::from_secs(2);

/// Makes and destroys machines. Cheap to clone.
#[derive(Clone)]
pub struct Provisioning(Arc<Inner>);

struct Inner {
    database: Database,
    vault: Vault<Database>,
    api: Api,
    installation: Installation,
}

/// An attempt that failed, and what there may be at the provider now.
struct Failed {
    error: Error,
    left: Left,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// As before this attempt, which asked for nothing.
    Unchanged,
    /// A machine, or none.
    Perhaps,
}

impl Provisioning {
    /// `api` is where DigitalOcean answers, [`DIGITALOCEAN`] but for tests; `None` when it is no address for a token.
    pub fn new(database: Database, wrap: Arc<dyn KeyWrap>, api: &str, installation: Installation) -> Option<Self> {
        let vault = Vault::new(database.clone(), wrap);
        Some(Self(Arc::new(Inner { database, vault, api: Api::new(api)?, installation })))
    }

    /// A new toolbox and its machine, or what is left to do of an earlier attempt at the same.
    pub(crate) async fn make(&self, caller: &Caller, name: &str, wanted: &Provision) -> Result<ToolboxCreated, Error> {
        names::check(wanted)?;
        let mut held = self.0.database.machine_begin(caller, name, wanted).await?;
        if let Some(released) = held.released.take() {
            match self.ask(caller, &held, name, released).await {
                Ok(id) => {
                    self.0.database.machine_settle(caller, &held, Some(&id)).await?;
                    held.machine.id = Some(id);
                }
                Err(failed) => return Err(self.give_up(caller, &held, failed).await),
            }
        }
        Ok(ToolboxCreated { id: held.toolbox_id, enrolment_token: None, machine: Some(held.machine) })
    }

    /// Destroys the toolbox's machine, if one was made for it, and forgets the toolbox.
    pub(crate) async fn destroy(&self, caller: &Caller, toolbox: ToolboxId) -> Result<(), Error> {
        let Some(mut held) = self.0.database.machine_end(caller, toolbox).await? else {
            return Ok(self.0.database.toolbox_delete(caller, toolbox, false).await?);
        };
        let ended = match held.released.take() {
            Some(released) => self.end(toolbox, released).await,
            None => Err(Error::internal("a machine is held for its end without a token")),
        };
        match ended {
            Ok(()) => Ok(self.0.database.machine_forget(caller, &held).await?),
            Err(error) => {
                // To destroy again does no harm, so nobody needs to wait.
                self.freed(self.0.database.machine_settle(caller, &held, None).await);
                Err(error)
            }
        }
    }

    async fn end(&self, toolbox: ToolboxId, released: Released) -> Result<(), Error> {
        let token = self.token(released).await?;
        Ok(self.account(&token).destroy(&names::tag(toolbox)).await?)
    }

    async fn ask(&self, caller: &Caller, held: &Held, name: &str, released: Released) -> Result<String, Failed> {
        // What no attempt has asked for before is not there.
        let left = if held.attempt == 1 { Left::Nothing } else { Left::Unchanged };
        let before = |error: Error| Failed { error, left };
        let token = self.token(released).await.map_err(before)?;
        let account = self.account(&token);
        let tag = names::tag(held.toolbox_id);
        if let Some(id) = newest(&account, &tag).await.map_err(|failure| before(failure.into()))? {
            return Ok(id);
        }
        let enrolment = Token::generate(enrol::PREFIX).map_err(before)?;
        let armed = self.0.database.machine_arm(caller, held, &enrolment.hash()).await;
        armed.map_err(|error| before(error.into()))?;
        let user_data = self.0.installation.user_data(&Secret::new(enrolment.into_text()));
        let wanted = Wanted {
            name: &names::machine(name, held.toolbox_id),
            tag: &tag,
            region: &held.machine.region,
            size: &held.machine.size,
            user_data: &user_data,
        };
        match account.create(&wanted).await {
            Ok(id) => Ok(id.to_string()),
            Err(failure) if failure.certain() => Err(Failed { error: failure.into(), left: Left::Nothing }),
            Err(failure) => {
                sleep(SETTLE).await;
                let found = newest(&account, &tag).await.unwrap_or(None);
                found.ok_or_else(|| Failed { error: failure.into(), left: Left::Perhaps })
            }
        }
    }

    async fn give_up(&self, caller: &Caller, held: &Held, failed: Failed) -> Error {
        match failed.left {
            Left::Nothing => self.freed(self.0.database.machine_forget(caller, held).await),
            Left::Unchanged => self.freed(self.0.database.machine_settle(caller, held, None).await),
            Left::Perhaps => tracing::warn!(toolbox = %held.toolbox_id, "a machine was asked for and no answer came"),
        }
        failed.error
    }

    /// The place is free by itself after a while; that it is not at once must not hide why.
    fn freed(&self, done: Result<(), database::Error>) {
        if let Err(error) = done {
            tracing::warn!(%error, "an attempt at a machine was not ended");
        }
    }

    async fn token(&self, released: Released) -> Result<Secret, Error> {
        let release = self.0.vault.open(released).await.map_err(database::Error::from)?;
        let token = release.credentials.into_iter().next().map(|credential| credential.value);
        token.ok_or_else(|| Error::from(Failure::Token))
    }

    fn account<'a>(&'a self, token: &'a Secret) -> Account<'a> {
        Account { api: &self.0.api, token, until: Instant::now() + LIMIT }
    }
}

/// The machine that carries the tag. When lost answers have left several, the newest has the enrolment token that is good,
/// and the others go.
async fn newest(account: &Account<'_>, tag: &str) -> Result<Option<String>, Failure> {
    let mut found = account.find(tag).await?;
    let newest = found.pop();
    for surplus in found {
        tracing::warn!(tag, droplet = surplus, "a second machine of the same toolbox is destroyed");
        account.destroy_one(surplus).await?;
    }
    Ok(newest.map(|id| id.to_string()))
}
