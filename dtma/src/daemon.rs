//! The running daemon: which tasks there are, and what they tell each other.
//!
//! | task | told by | tells |
//! |---|---|---|
//! | check-in | changes of statuses and standing, `/wake`, its interval | `desired`, the verifier's keys, time and revocations |
//! | reconciler | `desired`, changes of statuses, its interval | `standing`; starts and ends the servers' tasks |
//! | a server's task | its container, its connection | statuses, the gateway's registry |
//! | gateway | requests | the check-in (`/wake`) |
//! | events | its interval, a full queue of calls, a check-in that succeeded | nobody |
//! | tidying | its interval | nobody |
//! | status file | changes of statuses and standing | `state.json` |
//! | watchdog | each loop's heart | the service manager |
//! | trial of an update | the hearts of check-in and reconciler | the gateway, whose end is the daemon's |
//!
//! The gateway and the connections to servers run on a thread of their own, [`Wire`]; everything else on the main one.

mod control;
mod ending;
mod manager;
mod state;

pub(crate) use ending::End;
pub(crate) use state::State;

use crate::{
    config::{DEFAULT_LISTEN, ServerOptions},
    docker::Engine,
    egress::{self, Egress, Firewall},
    events::{Refusals, Sources, Uploader},
    gateway::{self, Front, Parts, Records, Registry, RequestLog, Settings},
    kept::Kept,
    ledger::{Enrolment, Ledger},
    link::{CheckIn, Client, Report, Waker, client::Device, credentials::Vault},
    packages::{Packages, Registry as PackageRegistry},
    place::Place,
    reconcile::{RealWorld, Reconciler, Standing, Statuses, Workshop},
    update::OnTrial,
    watch::Watch,
    wire::Wire,
};
use anyhow::Context;
use capability::Verifier;
use std::{
    path::PathBuf,
    sync::{Arc, Mutex, RwLock},
    time::Duration,
};
use tokio::{net::TcpListener, sync::watch};

/// Between two looks at the firewall's rules, where servers need them.
const GUARD: Duration = Duration::from_secs(60);
/// For calls that are under way when the daemon is told to end.
const GRACE: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT, or until another version is to take its place. Containers stay: the next daemon finds
/// them.
pub(crate) async fn run(
    ledger: Ledger,
    enrolment: Enrolment,
    listen: String,
    options: ServerOptions,
    trial: Option<OnTrial>,
) -> anyhow::Result<End> {
    let ending = ending::Ending::listen()?;
    let watched = Watch::default();
    let wire = Wire::start()?;
    let listening = listen.clone();
    let listener = wire.run(async move { TcpListener::bind(listening).await }).await.with_context(|| {
        format!("cannot listen at {listen}; choose another address with --listen, or stop what listens there")
    })?;
    let place = Place::new(listener.local_addr()?, enrolment.host.as_deref())?;
    let gateway_url = place.url();
    let front = front(listener, &place, &ledger)?;

    let verifier = Verifier::new(&enrolment.capability_keys, enrolment.toolbox_id, enrolment.owner)
        .context("the keys of the enrolment cannot be used; enrol again")?;
    let clock_kept = ledger.clock().load()?.unwrap_or(0);
    verifier.observe(clock_kept);
    if let Some(held) = ledger.revocations().load()? {
        // Of unknown age, so only reading is allowed by it; but what was revoked stays revoked.
        verifier.set_revocations(&held, 0).context("the revocations of the ledger cannot be used")?;
    }
    let keys = Arc::new(RwLock::new(enrolment.capability_keys.clone()));
    let identity = Arc::new(ledger.identity().context("the toolbox's key cannot be used")?);
    let client = Client::new(&enrolment.control_plane)?;
    let device = Device { client, identity, toolbox: enrolment.toolbox_id };

    let engine = Engine::new(ledger.pipes());
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
    let refusals = Refusals::default();
    let shop = Arc::new(Workshop {
        toolbox: enrolment.toolbox_id,
        engine: Arc::new(engine),
        packages: packages.clone(),
        registry: registry.clone(),
        wire: wire.clone(),
        egress: Egress::new(egress::Settings {
            refused: refusals.sink(),
            unguarded: options.allow_unguarded,
            ..Default::default()
        }),
        credentials: Arc::new(vault),
        kept: Kept::here(),
        statuses: statuses.clone(),
        limits: options.limits(),
        ca,
        ledger: ledger.clone(),
        pins: Mutex::new(pins),
        series: Mutex::new(ledger.series().load()?.unwrap_or_default()),
        world: Arc::new(RealWorld),
    });

    let held = ledger.desired().load()?;
    let (desired, wanted) = watch::channel(held);
    let reconciling = watched.heart("reconciler");
    let reconciler = Reconciler::new(shop, wanted.clone()).with_heart(reconciling.clone());
    let standing = reconciler.standing();
    let missing = Firewall::keep().await.trouble();
    if let Some(why) = &missing {
        tracing::warn!("{why}");
    }
    let (guarding, trouble) = watch::channel(missing);
    let exposed = {
        let wanted = wanted.clone();
        move || wanted.borrow().iter().flat_map(|state| &state.servers).any(|spec| !spec.hosts.is_empty())
    };

    let waker = Waker::default();
    let report = {
        let (statuses, standing, exposed) = (statuses.clone(), standing.clone(), exposed.clone());
        move || {
            let standing = standing.borrow().clone();
            Report {
                applied_generation: standing.applied,
                servers: statuses.all(),
                docker_trouble: standing.trouble,
                trouble: trouble.borrow().clone().filter(|_| exposed()),
            }
        }
    };
    let checking = watched.heart("check-in");
    let (hear, heard) = watch::channel(());
    let (requests, records) = (Arc::new(RequestLog::default()), Records::default());
    let uploader = Uploader {
        heart: watched.heart("events"),
        device: device.clone(),
        verifier: verifier.clone(),
        sources: Sources {
            records: records.clone(),
            requests: requests.clone(),
            registry: registry.clone(),
            refusals,
            statuses: statuses.clone(),
        },
        spool: ledger.spool()?,
        heard: heard.clone(),
    };
    let checkin = CheckIn {
        heart: checking.clone(),
        device,
        ledger: ledger.clone(),
        verifier: verifier.clone(),
        keys,
        enrolment: enrolment.clone(),
        gateway: gateway_url.clone(),
        boot_id: uuid::Uuid::now_v7().to_string(),
        clock_kept,
        waker: waker.clone(),
        report: Box::new(report),
        changed: either(statuses.changes(), standing.clone()),
        desired,
        heard: hear,
    };
    let endpoint = gateway::Endpoint::new(Parts {
        registry,
        verifier,
        requests,
        control: Arc::new(control::Handles { waker, statuses: statuses.clone() }),
        records,
        heard,
        settings: Settings { hosts: place.hosts(), record_arguments: options.record_arguments, ..Settings::default() },
    });

    tracing::info!(gateway = %gateway_url, toolbox = %enrolment.toolbox_id, "dtma runs");
    let kept = state::StateFile {
        heart: watched.heart("status file"),
        ledger,
        enrolment,
        gateway: gateway_url,
        statuses,
        standing,
        wanted,
    };
    let accepting = watched.heart("gateway");
    let tasks = [
        tokio::spawn(reconciler.run()),
        tokio::spawn(checkin.run()),
        tokio::spawn(uploader.run()),
        tokio::spawn(kept.keep()),
        tokio::spawn(packages.keep_tidy()),
        tokio::spawn(async move { Firewall::watch(GUARD, exposed, &guarding).await }),
        tokio::spawn(manager::feed(watched)),
    ];
    manager::tell("READY=1");
    let rolled_back = async {
        match trial {
            Some(trial) => trial.prove(reconciling, checking).await,
            None => std::future::pending().await,
        }
    };
    let serving = async move {
        let mut end = End::Told;
        let told = async { end = ending.wait(accepting, rolled_back).await };
        gateway::serve(front, endpoint, told, GRACE).await.map(|()| end)
    };
    let end = wire.run(serving).await?;
    if end == End::Told {
        manager::tell("STOPPING=1");
    }
    tasks.iter().for_each(|task| task.abort());
    tracing::info!(?end, "dtma ends; servers go on running");
    Ok(end)
}

/// TLS wherever others can call, with the certificate that the control plane knows.
fn front(listener: TcpListener, place: &Place, ledger: &Ledger) -> anyhow::Result<Front> {
    let again = format!(
        "enrol it again, with a new enrolment token: dtma enrol --again --url URL --token-file FILE --listen {}{}; or listen on the \
         loopback, e.g. --listen {DEFAULT_LISTEN}",
        place.listen(),
        place.host().map(|host| format!(" --host {host}")).unwrap_or_default(),
    );
    if !place.is_exposed() {
        return Ok(Front::plain(listener)?);
    }
    let certificate = ledger.certificate().with_context(|| again.clone())?.with_context(|| {
        format!(
            "at {} the gateway must speak TLS, but this toolbox enrolled without a certificate; {again}",
            place.listen()
        )
    })?;
    Front::secure(listener, &certificate).context(again)
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
