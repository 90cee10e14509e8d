//! The only place that names bollard. Every call has a deadline; an engine that does not answer is
//! [`Error::Unreachable`], which freezes all removals above.

#[path = "../../init/agreed.rs"]
mod agreed;
mod attach;
mod calls;
mod error;
pub mod given;
mod image;
mod install;
pub mod labels;
mod launch;
mod machine;
mod network;
mod pipes;
mod room;
mod seccomp;
mod subnet;
mod volume;

pub use attach::Attached;
pub use calls::{About, Container, Exit, Inspected};
pub use error::Error;
pub use image::{Disk, Image, PackageImage};
pub use install::{Committed, InstallNetwork, Ran};
pub use launch::{CA, DATA, GVISOR, Launch, Limits, Network, RECIPE};
pub use machine::{Aside, Machine};
pub use network::Bridge;
pub use subnet::Subnet;

use pipes::Pipes;
use std::{future::Future, path::PathBuf, sync::Arc, time::Duration};
use tokio::sync::{Mutex, OnceCell};

const QUICK: Duration = Duration::from_secs(15);
const SLOW: Duration = Duration::from_secs(60);
/// Above every deadline here, so that ours is the one that speaks.
const CLIENT_SECONDS: u64 = 900;

/// A connection to the machine's Docker engine, made when it is first needed and again after it failed.
#[derive(Clone)]
pub struct Engine {
    client: Arc<OnceCell<bollard::Docker>>,
    /// Where servers' streams are.
    pipes: Pipes,
    /// Held from looking for room until it is taken.
    room: Arc<Mutex<()>>,
}

impl Engine {
    /// `pipes`: the folder for servers' streams. It must be this daemon's alone: whoever can enter it can speak to the servers.
    pub fn new(pipes: PathBuf) -> Self {
        Self { client: Arc::default(), pipes: Pipes::new(pipes), room: Arc::default() }
    }

    /// Takes away what a server had besides its container and its volume, which stays.
    pub async fn forget(&self, name: &str) -> Result<(), Error> {
        self.remove_network(name).await?;
        self.pipes.remove(name)
    }

    async fn client(&self) -> Result<&bollard::Docker, Error> {
        self.client
            .get_or_try_init(|| async {
                let client =
                    bollard::Docker::connect_with_defaults()?.with_timeout(Duration::from_secs(CLIENT_SECONDS));
                deadline("version", QUICK, client.negotiate_version()).await
            })
            .await
    }
}

/// `call` with a limit; its name is for the message.
async fn deadline<T>(
    name: &'static str,
    limit: Duration,
    call: impl Future<Output = Result<T, bollard::errors::Error>>,
) -> Result<T, Error> {
    match tokio::time::timeout(limit, call).await {
        Ok(done) => done.map_err(Error::from),
        Err(_) => Err(Error::TimedOut { call: name, seconds: limit.as_secs() }),
    }
}
