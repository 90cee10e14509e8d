//! The commands of the `dtma` program, one file each.

mod certificate;
mod doctor;
mod enrol;
mod remove;
mod run;
mod status;
mod update;

use crate::{
    config::{RuntimeOption, ServerOptions, StateOption},
    ledger::{Enrolment, Ledger},
    update::Source,
};
use anyhow::Context;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;

/// Runs MCP servers on this machine for its owner
#[derive(Debug, Parser)]
#[command(name = "dtma", version, max_term_width = 100)]
pub struct Command {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Make this machine a toolbox of the control plane that gave the token
    Enrol(Enrol),
    /// Run the daemon until it is told to end; servers go on running then
    Run(Run),
    /// Show what runs
    Status(Status),
    /// Look for what is wrong, and say what mends it
    Doctor(Doctor),
    /// Print the gateway's certificate, for MCP clients that call it over TLS
    Certificate(StateOption),
    /// Replace this program by a newer, signed release, which goes back by itself when it does not work
    Update(Update),
    /// After the daemon ended: roll back a version that is on trial (for the service manager)
    #[command(hide = true)]
    Settle(Settle),
    /// Stop this toolbox's servers; their data stays
    StopServers(StateOption),
    /// Remove this toolbox's servers, networks, data and state from the machine
    Uninstall(Uninstall),
}

#[derive(Args, Debug)]
struct Enrol {
    /// Where the control plane is
    #[arg(long)]
    url: String,
    /// A file that holds the enrolment token
    #[arg(long, value_name = "FILE")]
    token_file: PathBuf,
    /// Where the gateway is to listen: with plain HTTP on the loopback, with TLS anywhere else
    #[arg(long, value_name = "ADDRESS", default_value = crate::config::DEFAULT_LISTEN)]
    listen: String,
    /// By which name or address the gateway is called from elsewhere; needed when it listens at every address (0.0.0.0)
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Enrol although this state has an identity already
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    state: StateOption,
}

#[derive(Args, Debug)]
struct Run {
    /// Where the gateway is to listen, instead of what the enrolment said
    #[arg(long, value_name = "ADDRESS")]
    listen: Option<String>,
    /// By which name or address the gateway is called from elsewhere, instead of what the enrolment said
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// Where the control plane is, instead of where it enrolled
    #[arg(long)]
    url: Option<String>,
    /// How long a new version may take for one reconcile and one check-in before it is rolled back
    #[arg(long, value_name = "N", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..))]
    trial_seconds: u64,
    #[command(flatten)]
    servers: ServerOptions,
    #[command(flatten)]
    state: StateOption,
}

#[derive(Args, Debug)]
struct Status {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    state: StateOption,
}

#[derive(Args, Debug)]
struct Doctor {
    /// As JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    runtime: RuntimeOption,
    #[command(flatten)]
    state: StateOption,
}

#[derive(Args, Debug)]
struct Update {
    /// A folder or an https address with SHA256SUMS, SHA256SUMS.sig and the programs
    #[arg(long, value_name = "DIR|URL")]
    from: Source,
    /// Also a version that was rolled back before
    #[arg(long)]
    again: bool,
    #[command(flatten)]
    state: StateOption,
}

#[derive(Args, Debug)]
struct Settle {
    /// How the daemon ended, as systemd says it; on `success` nothing is done
    #[arg(long, env = "SERVICE_RESULT", default_value = "success")]
    result: String,
    #[command(flatten)]
    state: StateOption,
}

#[derive(Args, Debug)]
struct Uninstall {
    /// Do not ask
    #[arg(long)]
    yes: bool,
    /// Keep what the servers stored, and this toolbox's state and identity
    #[arg(long)]
    keep_data: bool,
    #[command(flatten)]
    state: StateOption,
}

impl Command {
    pub async fn run(self) -> anyhow::Result<()> {
        match self.action {
            Action::Enrol(enrol) => enrol.run().await,
            Action::Run(run) => run.run().await,
            Action::Status(status) => status.run(),
            Action::Doctor(doctor) => doctor.run().await,
            Action::Certificate(state) => certificate::print(&state),
            Action::Update(update) => update.run().await,
            Action::Settle(settle) => settle.run(),
            Action::StopServers(state) => remove::stop_servers(&state).await,
            Action::Uninstall(uninstall) => uninstall.run().await,
        }
    }
}

/// The state's ledger and identity, or what to do when there is none.
fn enrolled(state: &StateOption) -> anyhow::Result<(Ledger, Enrolment)> {
    let folder = state.folder();
    let ledger = Ledger::open(&folder)?;
    let enrolment = ledger.enrolment().load()?.with_context(|| {
        format!(
            "this machine is not enrolled ({} has no enrolment); run: dtma enrol --url URL --token-file FILE",
            folder.display()
        )
    })?;
    Ok((ledger, enrolment))
}
