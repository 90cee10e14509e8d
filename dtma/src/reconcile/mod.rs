//! From what should run to what runs: observe, plan, execute, again and again. Events only wake it.

mod attempt;
mod backoff;
mod execute;
mod fill;
pub mod plan;
mod status;
mod tail;
mod task;
mod world;

pub use execute::{Reconciler, Standing};
pub use plan::{Observed, Step, plan, spec_digest};
pub use status::Statuses;
pub use tail::{Line, Tail};
pub use world::{RealWorld, World};

use crate::{
    docker::{Limits, Machine},
    egress::Egress,
    gateway::Registry,
    ledger::{AllSeries, Ledger, Pins},
    link::Credentials,
    packages::Packages,
    wire::Wire,
};
use protocol::ids::ToolboxId;
use std::{path::PathBuf, sync::Arc};

/// What every server's task works with.
pub struct Workshop {
    pub toolbox: ToolboxId,
    pub engine: Arc<dyn Machine>,
    pub packages: Arc<Packages>,
    pub registry: Registry,
    /// Where connections to servers live.
    pub wire: Wire,
    pub egress: Egress,
    pub credentials: Arc<dyn Credentials>,
    pub statuses: Statuses,
    pub limits: Limits,
    /// The machine's certificates, for servers that may reach hosts.
    pub ca: Option<PathBuf>,
    pub ledger: Ledger,
    pub pins: std::sync::Mutex<Pins>,
    /// How often servers ended in a row.
    pub series: std::sync::Mutex<AllSeries>,
    pub world: Arc<dyn World>,
}

impl Workshop {
    /// Keeps them on disk when `change` says that it changed something.
    fn change_pins(&self, change: impl FnOnce(&mut Pins) -> bool) {
        let mut pins = self.pins.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if change(&mut pins)
            && let Err(error) = self.ledger.pins().store(&pins)
        {
            tracing::error!(%error, "the versions in use could not be kept");
        }
    }
}
