use super::{Uninstall, enrolled, status::is_running};
use crate::{config::StateOption, docker::Engine, egress::Firewall, kept::Kept, ledger::Ledger};
use anyhow::{Context, bail};
use futures::future::try_join_all;
use protocol::ids::ToolboxId;
use std::{fs, io::Write};

pub(super) async fn stop_servers(state: &StateOption) -> anyhow::Result<()> {
    let (ledger, enrolment) = enrolled(state)?;
    not_running(&ledger)?;
    let stopped = stop(&Engine::new(ledger.pipes()), enrolment.toolbox_id).await?;
    println!("{stopped} servers stopped; their data stays");
    Ok(())
}

impl Uninstall {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let (ledger, enrolment) = enrolled(&self.state)?;
        not_running(&ledger)?;
        if !self.yes && !agreed(self.keep_data)? {
            bail!("nothing was removed");
        }
        let (engine, toolbox) = (Engine::new(ledger.pipes()), enrolment.toolbox_id);
        stop(&engine, toolbox).await?;
        for network in engine.networks(toolbox).await? {
            engine.remove_network(&network).await?;
        }
        Firewall::release().await;
        if !self.keep_data {
            for volume in engine.volumes(toolbox).await? {
                engine.remove_volume(&volume).await?;
            }
        }
        if self.keep_data {
            println!("removed; its data and {} stay: dtma run brings the servers back", ledger.folder().display());
            return Ok(());
        }
        for image in engine.package_images().await? {
            // Shared with other toolboxes of this machine: one that is in use is refused and stays.
            if let Err(error) = engine.remove_image(&image.name).await {
                eprintln!("{} stays: {error}", image.name);
            }
        }
        fs::remove_dir_all(ledger.folder())
            .with_context(|| format!("{} could not be removed", ledger.folder().display()))?;
        println!("removed; delete the toolbox at the control plane too");
        Ok(())
    }
}

async fn stop(engine: &Engine, toolbox: ToolboxId) -> anyhow::Result<usize> {
    let containers =
        engine.containers(toolbox).await.context("Docker cannot be asked what runs; start it and try again")?;
    // One that only carries our label is somebody else's.
    let containers: Vec<_> = containers.into_iter().filter(|container| container.server.is_some()).collect();
    let stopping = containers.iter().map(|container| async {
        engine.stop(&container.id, 3).await?;
        engine.remove(&container.id).await
    });
    try_join_all(stopping).await?;
    let kept = Kept::here();
    kept.retain(toolbox, |_| false);
    kept.leave();
    // What a daemon was installing when it ended.
    for id in engine.leftovers(toolbox).await? {
        engine.remove(&id).await?;
    }
    Ok(containers.len())
}

/// It would start them again.
fn not_running(ledger: &Ledger) -> anyhow::Result<()> {
    if is_running(ledger) {
        bail!("dtma runs, and would start its servers again; stop it first");
    }
    Ok(())
}

fn agreed(keep_data: bool) -> anyhow::Result<bool> {
    let what = if keep_data {
        "this toolbox's servers, but not their data and not its identity,"
    } else {
        "this toolbox's servers, their data and its identity"
    };
    print!("Remove {what} from this machine? [y/N] ");
    std::io::stdout().flush()?;
    let mut line = String::new();
    std::io::stdin().read_line(&mut line)?;
    Ok(matches!(line.trim(), "y" | "Y" | "yes"))
}
