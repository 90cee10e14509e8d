//! Machines that we make at a provider for a toolbox. Each step names the attempt that it belongs to.

use crate::{Caller, Database, Error};
use protocol::{
    ids::ToolboxId,
    toolbox::{Machine, Provision},
};
use sealing::vault::Released;
use serde::Deserialize;
use serde_json::{Value, json};

/// The right to ask a provider for this toolbox's machine, or to destroy it, for 90 seconds.
#[derive(Deserialize)]
pub struct Held {
    pub toolbox_id: ToolboxId,
    /// 1: nothing was asked for before.
    pub attempt: i32,
    pub machine: Machine,
    /// The provider's token, encrypted. `None` when the machine is there and nothing is left to do.
    pub released: Option<Released>,
}

impl Held {
    fn names(&self) -> Value {
        json!({"toolbox_id": self.toolbox_id, "attempt": self.attempt})
    }
}

impl Database {
    /// A new toolbox with a machine to come, or the next attempt at the one of the same name. `Conflict` when that is under
    /// way, or the name is another toolbox's; `Invalid` when the vault has no token.
    pub async fn machine_begin(&self, caller: &Caller, name: &str, wanted: &Provision) -> Result<Held, Error> {
        let Provision { provider, region, size } = wanted;
        let arguments = json!({"name": name, "provider": provider, "region": region, "size": size});
        self.call(caller, "machine_begin", &arguments).await
    }

    /// Keeps the hash of the enrolment token that the machine is about to get. `Conflict` when one has enrolled before.
    pub async fn machine_arm(&self, caller: &Caller, held: &Held, token_hash: &str) -> Result<(), Error> {
        let mut arguments = held.names();
        arguments["token_hash"] = json!(token_hash);
        self.call(caller, "machine_arm", &arguments).await.map(|_: Value| ())
    }

    /// Ends the attempt: with the machine's id, or without when nothing more will come of it.
    pub async fn machine_settle(&self, caller: &Caller, held: &Held, id: Option<&str>) -> Result<(), Error> {
        let mut arguments = held.names();
        arguments["machine_id"] = json!(id);
        self.call(caller, "machine_settle", &arguments).await.map(|_: bool| ())
    }

    /// Holds the toolbox's machine for its end; `None` when it has none of ours.
    pub async fn machine_end(&self, caller: &Caller, toolbox: ToolboxId) -> Result<Option<Held>, Error> {
        self.call(caller, "machine_end", &json!({"toolbox_id": toolbox})).await
    }

    /// Forgets the toolbox of a machine that is gone, or never came.
    pub async fn machine_forget(&self, caller: &Caller, held: &Held) -> Result<(), Error> {
        let arguments = json!({"id": held.toolbox_id, "attempt": held.attempt});
        self.call(caller, "toolbox_delete", &arguments).await.map(|_: Value| ())
    }
}
