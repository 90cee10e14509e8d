//! One life of the daemon, from its start to its end or to its death, with the messages and the weather of that time.

use crate::world::Sim;
use domain::desired::{Accepted, accept};
use dtma::{
    docker::{Engine, Limits},
    egress::Egress,
    gateway::Registry,
    kept::Kept,
    ledger::Ledger,
    link::{Credentials, Fetched, Fetching},
    packages::{Packages, Registry as PackageRegistry},
    reconcile::{Reconciler, Standing, Statuses, Workshop},
    wire::Wire,
};
use protocol::{
    ids::ServerId,
    server::{ServerSpec, ServerStatus, Source},
    toolbox::DesiredState,
};
use rand::Rng;
use std::{
    path::Path,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::{
    sync::watch,
    time::{Instant, sleep},
};

const INTERVAL: Duration = Duration::from_secs(30);

/// What the daemon says at the end of its life.
pub(crate) struct Seen {
    pub(crate) standing: Standing,
    pub(crate) statuses: Vec<ServerStatus>,
}

/// The control plane: every state that it ever wanted, and what it may send of it.
pub(crate) struct Plane {
    pub(crate) pool: Vec<ServerSpec>,
    all: Vec<DesiredState>,
    /// The generation that the daemon accepted last.
    sent: u64,
}

impl Plane {
    pub(crate) fn new(sim: &Sim) -> Self {
        let mut state = sim.lock();
        let spec = |n: usize| ServerSpec {
            id: ServerId::from(uuid::Uuid::from_u128(n as u128 + 1)),
            name: format!("s{n}"),
            source: Source::Oci { image: if n == 3 { "bad".into() } else { format!("i{n}") } },
            args: vec![],
            env: Default::default(),
            secrets: vec![],
            hosts: vec![],
            revision: 0,
        };
        let pool: Vec<_> = (0..5).map(spec).collect();
        state.images.extend(["i0", "bad"].map(str::to_owned));
        Self { pool, all: vec![], sent: 0 }
    }

    /// Wants something else, sometimes only a little.
    pub(crate) fn newer(&mut self, sim: &Sim) {
        let rng = &mut sim.lock().rng;
        for spec in &mut self.pool {
            match rng.random_range(0..10) {
                0 => spec.revision += 1,
                1 => spec.args.push("x".into()),
                _ => {}
            }
        }
        let servers = self.pool.iter().filter(|_| rng.random_range(0..5) > 0).cloned().collect();
        self.all.push(DesiredState { generation: self.all.len() as u64 + 1, servers });
    }

    pub(crate) fn newest(&self) -> &DesiredState {
        self.all.last().unwrap()
    }

    /// What arrives this time: mostly the newest; or nothing, something old, or a lie.
    fn message(&mut self, sim: &Sim) -> Option<DesiredState> {
        if !sim.lock().faults {
            return self.all.last().cloned();
        }
        if self.all.is_empty() || sim.lock().rng.random_range(0..3) == 0 {
            self.newer(sim);
        }
        let rng = &mut sim.lock().rng;
        match rng.random_range(0..8) {
            0 | 1 => None,
            2 => Some(self.all[rng.random_range(0..self.all.len())].clone()),
            // Another content under a generation that was sent before.
            3 if self.sent == self.newest().generation => {
                Some(DesiredState { servers: vec![], ..self.newest().clone() })
            }
            _ => self.all.last().cloned(),
        }
    }
}

struct NoVault;

impl Credentials for NoVault {
    fn fetch(&self, _: ServerId) -> Fetching<'_> {
        Box::pin(async { Ok(Fetched::default()) })
    }
}

/// Until `most` has gone by, or until it is killed in the middle of a call.
pub(crate) fn live(sim: &Sim, ledger: &Ledger, plane: &mut Plane, most: Duration) -> Seen {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    let seen = runtime.block_on(async {
        sim.lock().born = Some(Instant::now());
        let shop = workshop(sim, ledger);
        let held = ledger.desired().load().unwrap();
        sim.lock().accepted = held.clone();
        let (desired, wanted) = watch::channel(held);
        let reconciler = Reconciler::new(shop.clone(), wanted);
        let standing = reconciler.standing();
        let daemon = tokio::spawn(reconciler.run());
        let faults = sim.lock().faults;
        tokio::select! {
            () = sim.crashed.notified(), if faults => {}
            () = check_in(sim, ledger, plane, &desired) => {}
            () = weather(sim), if faults => {}
            () = sleep(most) => {}
        }
        assert!(!daemon.is_finished(), "the reconciler ended");
        let standing = standing.borrow().clone();
        Seen { standing, statuses: shop.statuses.all() }
    });
    {
        let mut state = sim.lock();
        state.clock = state.clock.saturating_add(state.born.map_or(0, |_| most.as_secs() as i64));
        state.born = None;
    }
    // With everything that the daemon had under way.
    drop(runtime);
    seen
}

/// Message after message, through the same rule and the same ledger as the real one.
async fn check_in(sim: &Sim, ledger: &Ledger, plane: &mut Plane, desired: &watch::Sender<Option<DesiredState>>) {
    loop {
        if let Some(offered) = plane.message(sim) {
            let accepted = accept(desired.borrow().as_ref(), &offered);
            // With a full disk it cannot be kept, and what is not kept is not acted upon.
            if accepted == Ok(Accepted::Newer) && !sim.lock().full && ledger.desired().store(&offered).is_ok() {
                sim.lock().accepted = Some(offered.clone());
                plane.sent = offered.generation;
                desired.send_replace(Some(offered));
            }
        }
        sleep(INTERVAL).await;
    }
}

async fn weather(sim: &Sim) {
    loop {
        let (wait, what, victim) = {
            let rng = &mut sim.lock().rng;
            (rng.random_range(1..30), rng.random_range(0..7), rng.random_range(0..5))
        };
        sleep(Duration::from_secs(wait)).await;
        let mut state = sim.lock();
        match what {
            0 => {
                if let Some(b) = state.containers.values_mut().filter(|b| !b.foreign && b.running).nth(victim) {
                    b.end(137);
                }
            }
            // dockerd restarts, with its containers or without them.
            1 | 2 => {
                state.down = true;
                state.cut.send_modify(|count| *count += 1);
                if what == 1 {
                    state.containers.values_mut().filter(|b| !b.foreign && b.running).for_each(|b| b.end(137));
                }
            }
            3 => state.clock += [-86_400, 86_400][victim % 2],
            4 => state.full = !state.full,
            5 => state.cut.send_modify(|count| *count += 1),
            _ => state.down = false,
        }
        state.changed();
    }
}

fn workshop(sim: &Sim, ledger: &Ledger) -> Arc<Workshop> {
    let toolbox = sim.lock().toolbox;
    let packages = PackageRegistry::read(std::iter::empty(), Path::new("/nonexistent"), None);
    Arc::new(Workshop {
        toolbox,
        engine: Arc::new(sim.clone()),
        // Not used: no server here is a package.
        packages: Packages::new(Engine::new("/nonexistent".into()), toolbox, packages),
        registry: Registry::default(),
        wire: Wire::here(),
        egress: Egress::default(),
        credentials: Arc::new(NoVault),
        kept: Kept::nothing(),
        statuses: Statuses::default(),
        limits: Limits::default(),
        ca: None,
        ledger: ledger.clone(),
        pins: Mutex::new(ledger.pins().load().unwrap().unwrap_or_default()),
        series: Mutex::new(ledger.series().load().unwrap().unwrap_or_default()),
        world: Arc::new(sim.clone()),
    })
}
