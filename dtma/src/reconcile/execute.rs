//! The loop: observe, plan, execute. Steps for one server run one after the other in a piece of work of its own, so a
//! container that will not go holds up nobody else.

use super::{
    Observed, Step, Workshop,
    plan::{Task, plan, spec_digest},
    remote::Remotes,
    task::{Generations, Holding, Life},
};
use crate::watch::Heart;
use futures::StreamExt;
use protocol::{ids::ServerId, server::ServerSpec, toolbox::DesiredState};
use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{
    sync::{Notify, watch},
    task::{JoinHandle, JoinSet},
};
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};

/// Also without any event: what nobody told of is found then.
const ROUND: Duration = Duration::from_secs(60);
/// While Docker does not answer.
const RETRY: Duration = Duration::from_secs(5);
/// A look at Docker takes no longer, unless something hangs.
const LOOK: Duration = Duration::from_secs(120);
const STOP_GRACE: u32 = 3;

/// How the machine stands, for the check-in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The generation that the machine matches.
    pub applied: u64,
    /// Why Docker does not answer; `None` when it does.
    pub trouble: Option<String>,
}

struct Running {
    digest: String,
    revision: u32,
    holding: Holding,
    cancel: CancellationToken,
    handle: JoinHandle<()>,
}

pub struct Reconciler {
    shop: Arc<Workshop>,
    desired: watch::Receiver<Option<DesiredState>>,
    standing: watch::Sender<Standing>,
    tasks: Arc<Mutex<HashMap<ServerId, Running>>>,
    /// Of servers that do not run here.
    remotes: Remotes,
    wake: Arc<Notify>,
    /// What a killed daemon was installing is gone.
    cleaned: bool,
    heart: Heart,
}

impl Reconciler {
    pub fn new(shop: Arc<Workshop>, desired: watch::Receiver<Option<DesiredState>>) -> Self {
        let standing = watch::channel(Standing::default()).0;
        let (tasks, wake, heart) = (Arc::default(), Arc::default(), Heart::default());
        Self { shop, desired, standing, tasks, remotes: Remotes::default(), wake, cleaned: false, heart }
    }

    /// The heart that its loop beats.
    pub fn with_heart(self, heart: Heart) -> Self {
        Self { heart, ..self }
    }

    pub fn standing(&self) -> watch::Receiver<Standing> {
        self.standing.subscribe()
    }

    /// Until the daemon ends. Containers are left running: the next daemon adopts them.
    pub async fn run(mut self) {
        let _listening = AbortOnDropHandle::new(tokio::spawn(listen(self.shop.clone(), self.wake.clone())));
        let mut statuses = self.shop.statuses.changes();
        let mut work: JoinSet<ServerId> = JoinSet::new();
        let mut busy: HashSet<ServerId> = HashSet::new();
        loop {
            self.heart.beat(ROUND + LOOK);
            let reached = self.round(&mut work, &mut busy).await;
            if reached {
                self.heart.succeeded();
            }
            tokio::select! {
                // Cancel-safe: a change stays marked until it is seen.
                _ = self.desired.changed() => {}
                // Cancel-safe: as above. What is reported decides when a generation counts as applied.
                _ = statuses.changed() => {}
                // Cancel-safe: a permit is kept.
                () = self.wake.notified() => {}
                // Cancel-safe: work that is not joined stays in the set.
                Some(done) = work.join_next(), if !work.is_empty() => {
                    match done {
                        Ok(server) => { busy.remove(&server); }
                        Err(error) => { tracing::error!(%error, "a piece of work broke off"); busy.clear(); }
                    }
                }
                () = tokio::time::sleep(if reached { ROUND } else { RETRY }) => {}
            }
        }
    }

    /// False when Docker does not answer.
    async fn round(&mut self, work: &mut JoinSet<ServerId>, busy: &mut HashSet<ServerId>) -> bool {
        let desired = self.desired.borrow().clone();
        // Whatever Docker says.
        self.remotes.follow(&self.shop, &self.desired);
        let observed = match self.observe().await {
            Ok(observed) => observed,
            Err(trouble) => {
                tracing::warn!(%trouble, "nothing can be said about what runs");
                self.standing.send_if_modified(|standing| {
                    let changed = standing.trouble.as_ref() != Some(&trouble);
                    standing.trouble = Some(trouble);
                    changed
                });
                return false;
            }
        };
        if !self.cleaned {
            self.cleaned = true;
            self.clean().await;
        }
        let steps = plan(&observed, desired.as_ref());
        let mut by_server: BTreeMap<ServerId, Vec<Step>> = BTreeMap::new();
        for step in steps {
            by_server.entry(server_of(&step)).or_default().push(step);
        }
        let idle = by_server.is_empty() && busy.is_empty();
        for (server, steps) in by_server {
            // Its last steps are under way: what was seen of it is not its end.
            if !busy.insert(server) {
                continue;
            }
            let spec = desired.as_ref().and_then(|state| state.servers.iter().find(|spec| spec.id == server)).cloned();
            let (shop, tasks, desired) = (self.shop.clone(), self.tasks.clone(), self.desired.clone());
            work.spawn(async move {
                for step in steps {
                    tracing::info!(?step, "step");
                    if let Err(error) = execute(&shop, &tasks, step, spec.as_ref(), &desired).await {
                        tracing::warn!(%server, %error, "a step failed");
                        tokio::time::sleep(Duration::from_secs(1)).await;
                        break;
                    }
                }
                server
            });
        }
        self.stand(desired.as_ref(), idle);
        true
    }

    fn stand(&self, desired: Option<&DesiredState>, idle: bool) {
        let mut applied = None;
        if let Some(state) = desired {
            let wanted = |id: &ServerId| state.servers.iter().any(|spec| spec.id == *id);
            self.shop.statuses.retain(wanted);
            self.shop.change_pins(|pins| pins.retain(wanted));
            self.shop.forget_series(wanted);
            self.shop.kept.retain(self.shop.toolbox, wanted);
            let ids = state.servers.iter().map(|spec| spec.id);
            applied = (idle && self.shop.statuses.settled(ids)).then_some(state.generation);
        }
        self.standing.send_if_modified(|standing| {
            let next = Standing { applied: applied.unwrap_or(standing.applied), trouble: None };
            let changed = *standing != next;
            *standing = next;
            changed
        });
    }

    async fn observe(&self) -> Result<Observed, String> {
        let containers = self.shop.engine.containers(self.shop.toolbox).await.map_err(|error| {
            let cause = std::error::Error::source(&error).map(|cause| format!(": {cause}")).unwrap_or_default();
            format!("{error}{cause}")
        })?;
        let mut tasks = lock(&self.tasks);
        tasks.retain(|_, running| !running.handle.is_finished());
        let task = |running: &Running| Task {
            spec_digest: running.digest.clone(),
            revision: running.revision,
            container: running.holding.get(),
        };
        let tasks = tasks.iter().map(|(server, running)| (*server, task(running))).collect();
        Ok(Observed { docker: true, containers, tasks })
    }

    /// Installers of a daemon that was killed.
    async fn clean(&self) {
        match self.shop.engine.leftovers(self.shop.toolbox).await {
            Ok(left) => {
                for id in left {
                    if let Err(error) = self.shop.engine.remove(&id).await {
                        tracing::warn!(%error, "an old installer could not be removed");
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "Docker cannot be asked yet"),
        }
    }
}

/// Wakes the loop whenever Docker says that something happened, and each time that it can be heard again: what happened
/// meanwhile was not heard. What happened is not looked at here.
async fn listen(shop: Arc<Workshop>, wake: Arc<Notify>) {
    loop {
        if let Ok(mut events) = shop.engine.events(shop.toolbox).await {
            wake.notify_one();
            while events.next().await.is_some() {
                wake.notify_one();
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

type Tasks = Arc<Mutex<HashMap<ServerId, Running>>>;

fn lock(tasks: &Tasks) -> std::sync::MutexGuard<'_, HashMap<ServerId, Running>> {
    tasks.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn execute(
    shop: &Arc<Workshop>,
    tasks: &Tasks,
    step: Step,
    spec: Option<&ServerSpec>,
    desired: &watch::Receiver<Option<DesiredState>>,
) -> Result<(), crate::docker::Error> {
    match step {
        Step::Stop { server } => {
            let running = lock(tasks).remove(&server);
            if let Some(running) = running {
                running.cancel.cancel();
                // It only has to let go; an error is a panic that was reported where it happened.
                let _ = running.handle.await;
            }
            shop.egress.end(server);
        }
        Step::Remove { server, container } => {
            shop.engine.stop(&container, STOP_GRACE).await?;
            shop.engine.remove(&container).await?;
            if spec.is_none() {
                shop.engine.forget(&crate::docker::labels::name(shop.toolbox, server)).await?;
            }
        }
        Step::Adopt { server, container } => begin(shop, tasks, server, spec, Some(container), desired),
        Step::Start { server } => begin(shop, tasks, server, spec, None, desired),
    }
    Ok(())
}

fn begin(
    shop: &Arc<Workshop>,
    tasks: &Tasks,
    server: ServerId,
    spec: Option<&ServerSpec>,
    adopt: Option<String>,
    desired: &watch::Receiver<Option<DesiredState>>,
) {
    let Some(spec) = spec.cloned() else { return };
    let (digest, revision) = (spec_digest(&spec), spec.revision);
    let (holding, cancel) = (Holding::default(), CancellationToken::new());
    holding.set(adopt.clone());
    let life = Life {
        shop: shop.clone(),
        spec,
        digest: digest.clone(),
        adopt,
        holding: holding.clone(),
        generations: Generations(desired.clone()),
        cancel: cancel.clone(),
    };
    let running = Running { digest, revision, holding, cancel, handle: tokio::spawn(life.run()) };
    if let Some(before) = lock(tasks).insert(server, running) {
        before.cancel.cancel();
    }
}

fn server_of(step: &Step) -> ServerId {
    match step {
        Step::Stop { server } | Step::Remove { server, .. } | Step::Adopt { server, .. } | Step::Start { server } => {
            *server
        }
    }
}
