//! `state.json`: written at every change for those who look, never read by the daemon.

use super::either;
use crate::{
    ledger::{Enrolment, Ledger, write_atomically},
    reconcile::{Standing, Statuses},
    watch::Heart,
};
use protocol::{ids::ToolboxId, server::ServerStatus, toolbox::DesiredState};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};
use tokio::sync::watch;

/// How often the loop turns without any change.
const TURN: Duration = Duration::from_secs(30);

/// For `dtma status` and for the program that started the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub pid: u32,
    pub gateway: String,
    pub toolbox_id: ToolboxId,
    pub control_plane: String,
    pub generation: u64,
    pub applied_generation: u64,
    pub trouble: Option<String>,
    pub servers: BTreeMap<String, StateServer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateServer {
    #[serde(flatten)]
    pub status: ServerStatus,
    /// How many it offers.
    pub tool_count: usize,
}

pub(super) struct StateFile {
    pub(super) heart: Heart,
    pub(super) ledger: Ledger,
    pub(super) enrolment: Enrolment,
    pub(super) gateway: String,
    pub(super) statuses: Statuses,
    pub(super) standing: watch::Receiver<Standing>,
    pub(super) wanted: watch::Receiver<Option<DesiredState>>,
}

impl StateFile {
    pub(super) async fn keep(self) {
        let mut changed = either(self.statuses.changes(), self.standing.clone());
        loop {
            let written = serde_json::to_vec_pretty(&self.state())
                .map_err(std::io::Error::other)
                .and_then(|bytes| write_atomically(&self.ledger.status_path(), &bytes));
            if let Err(error) = written {
                tracing::warn!(%error, "state.json could not be written");
            }
            loop {
                self.heart.beat(TURN * 2);
                match tokio::time::timeout(TURN, changed.changed()).await {
                    Ok(Ok(())) => break,
                    Ok(Err(_)) => return,
                    Err(_) => {}
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    fn state(&self) -> State {
        let standing = self.standing.borrow().clone();
        let server = |(status, tool_count)| StateServer { status, tool_count };
        State {
            pid: std::process::id(),
            gateway: self.gateway.clone(),
            toolbox_id: self.enrolment.toolbox_id,
            control_plane: self.enrolment.control_plane.clone(),
            generation: self.wanted.borrow().as_ref().map_or(0, |state| state.generation),
            applied_generation: standing.applied,
            trouble: standing.trouble,
            servers: self.statuses.named().into_iter().map(|(name, entry)| (name, server(entry))).collect(),
        }
    }
}
