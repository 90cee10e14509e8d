use super::{Status, enrolled};
use crate::{daemon::State, ledger::Ledger};
use serde::Serialize;
use std::fs;

#[derive(Serialize)]
struct Shown {
    running: bool,
    #[serde(flatten)]
    state: Option<State>,
}

impl Status {
    pub(super) fn run(self) -> anyhow::Result<()> {
        let (ledger, _) = enrolled(&self.state)?;
        let state = fs::read(ledger.status_path()).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let shown = Shown { running: is_running(&ledger), state };
        if self.json {
            println!("{}", serde_json::to_string_pretty(&shown)?);
        } else {
            print(&shown);
        }
        Ok(())
    }
}

/// The daemon holds its lock for as long as it runs.
pub(super) fn is_running(ledger: &Ledger) -> bool {
    let Ok(file) = fs::OpenOptions::new().write(true).open(ledger.lock_path()) else { return false };
    fd_lock::RwLock::new(file).try_write().is_err()
}

fn print(shown: &Shown) {
    if !shown.running {
        println!("dtma does not run; start it with: dtma run");
    }
    let Some(state) = &shown.state else { return };
    println!("toolbox  {}", state.toolbox_id);
    println!("gateway  {}", state.gateway);
    println!("desired  generation {}, applied {}", state.generation, state.applied_generation);
    if let Some(trouble) = &state.trouble {
        println!("trouble  {trouble}");
    }
    for (name, server) in &state.servers {
        // The state's name on the wire is what a person reads too.
        let word = serde_json::to_value(server.status.state).ok();
        let word = word.as_ref().and_then(|word| word.as_str()).unwrap_or_default();
        let detail = server.status.detail.as_deref().unwrap_or_default();
        let pinned = server.status.pinned.as_deref().unwrap_or_default();
        println!("{name:<24} {word:<12} {:>3} tools  {pinned} {detail}", server.tool_count);
    }
}
