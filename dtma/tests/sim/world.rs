//! The world under one seed. It outlives the daemon, which is killed and started anew in it.

use dtma::{
    docker::{Container, labels},
    reconcile::{World, spec_digest},
};
use protocol::{
    ids::{ServerId, ToolboxId},
    toolbox::DesiredState,
};
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    sync::{Arc, Mutex, MutexGuard},
};
use tokio::{
    sync::{Notify, watch},
    time::Instant,
};

#[derive(Clone)]
pub(crate) struct Sim {
    state: Arc<Mutex<State>>,
    pub(crate) crashed: Arc<Notify>,
}

pub(crate) struct State {
    pub(crate) rng: StdRng,
    pub(crate) toolbox: ToolboxId,
    pub(crate) containers: BTreeMap<String, Box_>,
    pub(crate) images: BTreeSet<String>,
    /// The state that the daemon accepted last; nothing else allows an end.
    pub(crate) accepted: Option<DesiredState>,
    pub(crate) faults: bool,
    pub(crate) down: bool,
    pub(crate) full: bool,
    /// Seconds since the epoch at the beginning of this life of the daemon, as its clock says.
    pub(crate) clock: i64,
    pub(crate) born: Option<Instant>,
    /// What must never be and was.
    pub(crate) broken: Vec<String>,
    pub(crate) happened: watch::Sender<u64>,
    /// Cuts the streams of all containers.
    pub(crate) cut: watch::Sender<u64>,
    next: u64,
}

/// A container.
pub(crate) struct Box_ {
    pub(crate) id: String,
    pub(crate) launch_name: String,
    pub(crate) labels: HashMap<String, String>,
    pub(crate) running: bool,
    pub(crate) bad: bool,
    /// It listed its tools.
    pub(crate) served: bool,
    pub(crate) code: Option<i64>,
    pub(crate) created: i64,
    pub(crate) started: i64,
    pub(crate) gone: watch::Sender<bool>,
    /// Of somebody else, with our labels from an image.
    pub(crate) foreign: bool,
}

impl Box_ {
    pub(crate) fn new(state: &mut State, name: String, labels: HashMap<String, String>, bad: bool) -> Self {
        state.next += 1;
        let id = format!("c{}", state.next);
        let (created, gone) = (state.next as i64, watch::channel(false).0);
        Self {
            id,
            launch_name: name,
            labels,
            running: false,
            bad,
            served: false,
            code: None,
            created,
            started: 0,
            gone,
            foreign: false,
        }
    }

    pub(crate) fn end(&mut self, code: i64) {
        self.running = false;
        self.code = Some(code);
        self.gone.send_replace(true);
    }

    pub(crate) fn label(&self, key: &str) -> &str {
        self.labels.get(key).map(String::as_str).unwrap_or_default()
    }

    /// As `docker::calls` sees it.
    pub(crate) fn seen(&self) -> Container {
        Container {
            id: self.id.clone(),
            server: self.server(),
            spec_digest: self.label(labels::SPEC).into(),
            revision: self.label(labels::REVISION).parse().unwrap_or_default(),
            running: self.running,
            created: self.created,
        }
    }

    pub(crate) fn server(&self) -> Option<ServerId> {
        self.label(labels::SERVER).parse().ok().filter(|_| !self.foreign)
    }
}

impl State {
    pub(crate) fn now(&self) -> i64 {
        self.clock + self.born.map_or(0, |born| born.elapsed().as_secs() as i64)
    }

    pub(crate) fn changed(&self) {
        self.happened.send_modify(|count| *count += 1);
    }

    /// Whether the daemon may end this container.
    pub(crate) fn check_end(&mut self, id: &str) {
        let Some(b) = self.containers.values().find(|b| b.id == id || b.launch_name == id) else { return };
        let wanted = self.accepted.iter().flat_map(|state| &state.servers).find(|spec| Some(spec.id) == b.server());
        let as_wanted = wanted.is_some_and(|spec| {
            b.label(labels::SPEC) == spec_digest(spec) && b.label(labels::REVISION) == spec.revision.to_string()
        });
        let why = if b.foreign {
            "it is somebody else's"
        } else if self.down {
            "Docker does not answer"
        } else if self.accepted.is_none() {
            "there is no desired state"
        } else if b.running && b.served && as_wanted {
            "it runs as it should"
        } else {
            return;
        };
        self.broken.push(format!("container {id} was ended although {why}"));
    }
}

impl Sim {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let toolbox = ToolboxId::from(uuid::Uuid::from_u128(rng.random()));
        let state = State {
            rng,
            toolbox,
            containers: BTreeMap::new(),
            images: BTreeSet::new(),
            accepted: None,
            faults: true,
            down: false,
            full: false,
            clock: 1_800_000_000,
            born: None,
            broken: vec![],
            happened: watch::channel(0).0,
            cut: watch::channel(0).0,
            next: 0,
        };
        Self { state: Arc::new(Mutex::new(state)), crashed: Arc::default() }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) async fn crash<T>(&self) -> T {
        self.crashed.notify_one();
        std::future::pending().await
    }
}

impl World for Sim {
    fn now(&self) -> i64 {
        self.lock().now()
    }

    fn chance(&self) -> f64 {
        self.lock().rng.random_range(0.0..1.0)
    }
}
