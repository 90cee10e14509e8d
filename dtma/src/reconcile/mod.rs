//! From what should run to what runs: observe, plan, execute, again and again. Events only wake it.

mod attempt;
mod backoff;
mod execute;
mod fill;
mod offer;
pub mod plan;
mod remote;
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
    kept::Kept,
    ledger::{AllSeries, Ledger, Pins},
    link::Credentials,
    packages::Packages,
    wire::Wire,
};
use protocol::{chat::Secret, ids::ToolboxId, server::ServerSpec};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

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
    pub kept: Kept,
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
    /// What the specification wants of the vault, fetched just before it is used.
    async fn secrets(&self, spec: &ServerSpec) -> Result<BTreeMap<String, Secret>, String> {
        if spec.secrets.is_empty() {
            return Ok(BTreeMap::new());
        }
        let fetched = self.credentials.fetch(spec.id).await.map_err(|error| with_source(&error))?;
        if !fetched.missing.is_empty() {
            return Err(format!("these credentials are missing: {}", fetched.missing.join(", ")));
        }
        Ok(fetched.values.into_iter().filter(|(key, _)| spec.secrets.contains(key)).collect())
    }

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

fn with_source(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
