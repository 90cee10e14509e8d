//! The running daemon: which tasks there are, and what they tell each other.
//!
//! | task | told by | tells |
//! |---|---|---|
//! | check-in | changes of statuses and standing, `/wake`, its interval | `desired`, the verifier's keys, time and revocations |
//! | reconciler | `desired`, changes of statuses, its interval | `standing`; starts and ends the servers' tasks |
//! | a server's task | its container, its connection | statuses, the gateway's registry |
//! | gateway | requests | the check-in (`/wake`) |
//! | status file | changes of statuses and standing | `state.json` |

use crate::{
    config::ServerOptions,
    docker::Engine,
    egress::{Egress, Firewall, Guard},
    gateway::{self, Control, Lines, Parts, Records, Registry, RequestLog, Settings},
    ledger::{Enrolment, Ledger, write_atomically},
    link::{CheckIn, Client, Report, Waker, client::Device, credentials::Vault},
    packages::{Packages, Registry as PackageRegistry},
    reconcile::{Reconciler, Standing, Statuses, Workshop},
};
use anyhow::Context;
use capability::Verifier;
use futures::stream::{self, StreamExt};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::watch,
};

/// For calls that are under way when the daemon is told to end.
const GRACE: Duration = Duration::from_secs(2);

/// `state.json`, for `dtma status` and for the program that started the daemon.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct State {
    pub pid: u32,
    pub gateway: String,
    pub toolbox_id: protocol::ids::ToolboxId,
    pub control_plane: String,
    pub generation: u64,
    pub applied_generation: u64,
    pub trouble: Option<String>,
    pub servers: BTreeMap<String, StateServer>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct StateServer {
    #[serde(flatten)]
    pub status: protocol::server::ServerStatus,
    /// How many it offers.
    pub tool_count: usize,
}

struct Handles {
    waker: Waker,
    statuses: Statuses,
}

impl Control for Handles {
    fn wake(&self) -> bool {
        self.waker.wake()
    }

    fn logs(&self, server: &str) -> Option<Lines> {
        let (kept, live) = self.statuses.tail(server)?.follow();
        let live = stream::unfold(live, |mut live| async move {
            loop {
                match live.recv().await {
                    Ok(line) => return Some((line.to_string(), live)),
                    // A reader that was too slow goes on with what is new.
                    Err(tokio::sync::broadcast::error::RecvError::Lagged(_)) => {}
                    Err(tokio::sync::broadcast::error::RecvError::Closed) => return None,
                }
            }
        });
        Some(Box::pin(stream::iter(kept.into_iter().map(|line| line.to_string())).chain(live)))
    }
}

/// Runs until SIGTERM or SIGINT. Containers stay: the next daemon finds them.
pub(crate) async fn run(
    ledger: Ledger,
    enrolment: Enrolment,
    listen: String,
    options: ServerOptions,
) -> anyhow::Result<()> {
    let listener = TcpListener::bind(&listen).await.with_context(|| {
        format!("cannot listen at {listen}; choose another address with --listen, or stop what listens there")
    })?;
    let listen = listener.local_addr()?.to_string();
    let gateway_url = crate::gateway_url(&listen);

    let verifier = Verifier::new(&enrolment.capability_keys, enrolment.toolbox_id, enrolment.owner)
        .context("the keys of the enrolment cannot be used; enrol again")?;
    let keys = Arc::new(RwLock::new(enrolment.capability_keys.clone()));
    let identity = Arc::new(ledger.identity().context("the toolbox's key cannot be used")?);
    let client = Client::new(&enrolment.control_plane)?;
    let device = Device { client, identity, toolbox: enrolment.toolbox_id };

    let engine = Engine::new();
    let ca = options.ca();
    let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
    let packages = Packages::new(
        engine.clone(),
        enrolment.toolbox_id,
        PackageRegistry::read(std::env::vars_os(), &home, ca.as_deref()),
    );
    let registry = Registry::default();
    let statuses = Statuses::default();
    let pins = ledger.pins().load()?.unwrap_or_default();
    let vault =
        Vault { device: device.clone(), owner: enrolment.owner, keys: keys.clone(), verifier: verifier.clone() };
    let shop = Arc::new(Workshop {
        toolbox: enrolment.toolbox_id,
        engine,
        packages,
        registry: registry.clone(),
        egress: Egress::default(),
        credentials: Arc::new(vault),
        statuses: statuses.clone(),
        limits: options.limits(),
        ca,
        ledger: ledger.clone(),
        pins: Mutex::new(pins),
    });

    let held = ledger.desired().load()?;
    let (desired, wanted) = watch::channel(held);
    let reconciler = Reconciler::new(shop, wanted.clone());
    let standing = reconciler.standing();
    let guard = Firewall::keep().await;
    let trouble = match guard {
        Guard::Kept => None,
        Guard::Missing(why) => {
            tracing::warn!("{why}");
            Some(why)
        }
    };

    let waker = Waker::default();
    let report = {
        let (statuses, standing) = (statuses.clone(), standing.clone());
        move || {
            let standing = standing.borrow().clone();
            Report {
                applied_generation: standing.applied,
                servers: statuses.all(),
                docker_trouble: standing.trouble,
                trouble: trouble.clone(),
            }
        }
    };
    let checkin = CheckIn {
        device,
        ledger: ledger.clone(),
        verifier: verifier.clone(),
        keys,
        enrolment: enrolment.clone(),
        gateway: gateway_url.clone(),
        boot_id: uuid::Uuid::now_v7().to_string(),
        waker: waker.clone(),
        report: Box::new(report),
        changed: either(statuses.changes(), standing.clone()),
        desired,
    };
    let router = gateway::router(Parts {
        registry,
        verifier,
        requests: Arc::new(RequestLog::default()),
        control: Arc::new(Handles { waker, statuses: statuses.clone() }),
        records: Records::default(),
        settings: Settings::default(),
    });

    tracing::info!(gateway = %gateway_url, toolbox = %enrolment.toolbox_id, "dtma runs");
    let kept = StateFile { ledger, enrolment, gateway: gateway_url, statuses, standing, wanted };
    let tasks = [tokio::spawn(reconciler.run()), tokio::spawn(checkin.run()), tokio::spawn(kept.keep())];
    gateway::serve(listener, router, told_to_end()?, GRACE).await?;
    tasks.iter().for_each(|task| task.abort());
    tracing::info!("dtma ends; servers go on running");
    Ok(())
}

fn told_to_end() -> anyhow::Result<impl Future<Output = ()>> {
    let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            // Cancel-safe: signals are only looked at.
            _ = term.recv() => {}
            _ = int.recv() => {}
        }
    })
}

/// One receiver for two.
fn either(mut a: watch::Receiver<u64>, mut b: watch::Receiver<Standing>) -> watch::Receiver<()> {
    let (send, receive) = watch::channel(());
    tokio::spawn(async move {
        loop {
            let gone = tokio::select! {
                // Cancel-safe: a change stays marked until it is seen.
                changed = a.changed() => changed.is_err(),
                changed = b.changed() => changed.is_err(),
            };
            if gone || send.send(()).is_err() {
                return;
            }
        }
    });
    receive
}

struct StateFile {
    ledger: Ledger,
    enrolment: Enrolment,
    gateway: String,
    statuses: Statuses,
    standing: watch::Receiver<Standing>,
    wanted: watch::Receiver<Option<protocol::toolbox::DesiredState>>,
}

impl StateFile {
    async fn keep(self) {
        let mut changed = either(self.statuses.changes(), self.standing.clone());
        loop {
            let written = serde_json::to_vec_pretty(&self.state())
                .map_err(std::io::Error::other)
                .and_then(|bytes| write_atomically(&self.ledger.status_path(), &bytes));
            if let Err(error) = written {
                tracing::warn!(%error, "state.json could not be written");
            }
            if changed.changed().await.is_err() {
                return;
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
