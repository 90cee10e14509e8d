//! What to do next, from what is seen and what is wanted. No I/O, no clock: `(observed, desired) -> steps`.
//!
//! The plan moves one step at a time towards the desired state and is made again after each round, so a step that fails or
//! an observation that was old by the time it was used costs a round and nothing else.

use crate::docker::Container;
use protocol::{
    ids::ServerId,
    server::{ServerSpec, Source},
    toolbox::DesiredState,
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

/// What is known of the machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Observed {
    /// False when the engine does not answer: then nothing is known, and nothing is removed.
    pub docker: bool,
    #[serde(default)]
    pub containers: Vec<Container>,
    /// Servers that a task of this daemon looks after, from installation to the running connection.
    #[serde(default)]
    pub tasks: BTreeMap<ServerId, Task>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    pub spec_digest: String,
    pub revision: u32,
    /// The container that it made or adopted, once it has one.
    #[serde(default)]
    pub container: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// End the task that looks after a server, which is no longer wanted as it is.
    Stop {
        server: ServerId,
    },
    Remove {
        server: ServerId,
        container: String,
    },
    /// Look after a container that runs already, as it should.
    Adopt {
        server: ServerId,
        container: String,
    },
    Start {
        server: ServerId,
    },
}

/// Of the digest itself, not of how a container is made: a newer daemon that makes containers otherwise leaves those that run
/// as they are, and each becomes new when it next starts.
const FORMAT: u32 = 1;

/// What a running container is compared by. Names of secrets count, their values do not: a changed value comes as a higher
/// revision.
pub fn spec_digest(spec: &ServerSpec) -> String {
    let ServerSpec { id: _, name, source, args, env, secrets, hosts, revision: _ } = spec;
    let mut hash = Sha256::new();
    // Written as it is declared, and not by way of a JSON tree: whether that keeps an order is decided by other crates' features.
    serde_json::to_writer(&mut hash, &(FORMAT, name, source, args, env, secrets, hosts))
        .expect("texts, lists and maps of texts can always be written");
    crate::hex(&hash.finalize())
}

pub fn plan(observed: &Observed, desired: Option<&DesiredState>) -> Vec<Step> {
    // Without a valid desired state there is no saying what should not run.
    let (true, Some(desired)) = (observed.docker, desired) else { return vec![] };
    let wanted: BTreeMap<ServerId, (&ServerSpec, String)> = desired
        .servers
        .iter()
        .filter(|spec| runs_here(spec))
        .map(|spec| (spec.id, (spec, spec_digest(spec))))
        .collect();
    let mut steps = Vec::new();

    for (server, task) in &observed.tasks {
        let good = wanted.get(server).is_some_and(|(spec, digest)| is(spec, digest, &task.spec_digest, task.revision));
        if !good {
            steps.push(Step::Stop { server: *server });
        }
    }
    let stopped = |server: &ServerId| steps.iter().any(|step| matches!(step, Step::Stop { server: s } if s == server));
    let tasks: BTreeMap<&ServerId, &Task> = observed.tasks.iter().filter(|(server, _)| !stopped(server)).collect();

    let mut kept: BTreeMap<ServerId, String> = BTreeMap::new();
    let mut removed = Vec::new();
    for (server, mut containers) in by_server(&observed.containers) {
        // The newest first: of two that are alike the older one is what a killed daemon left.
        containers.sort_by(|a, b| (b.created, &b.id).cmp(&(a.created, &a.id)));
        let task = tasks.get(&server);
        let keep = wanted.get(&server).and_then(|(spec, digest)| {
            let good = |c: &&&Container| is(spec, digest, &c.spec_digest, c.revision);
            match task.and_then(|task| task.container.as_ref()) {
                // Its task decides about a container that ended: it knows how often that happened.
                Some(own) => containers.iter().filter(good).find(|c| c.id == *own),
                // Perhaps just made by the task, which does not say so yet.
                None if task.is_some() => containers.iter().find(good),
                None => containers.iter().filter(good).find(|c| c.running),
            }
        });
        let keep = keep.map(|c| c.id.clone());
        for container in containers {
            if keep.as_ref() != Some(&container.id) {
                removed.push(Step::Remove { server, container: container.id.clone() });
            }
        }
        if let Some(id) = keep {
            kept.insert(server, id);
        }
    }
    steps.append(&mut removed);

    for server in wanted.keys().filter(|server| !tasks.contains_key(server)) {
        steps.push(match kept.remove(server) {
            Some(container) => Step::Adopt { server: *server, container },
            None => Step::Start { server: *server },
        });
    }
    steps
}

/// A server behind a URL is somebody else's to run; see `remote`.
pub fn runs_here(spec: &ServerSpec) -> bool {
    !matches!(spec.source, Source::Remote { .. })
}

fn is(spec: &ServerSpec, wanted: &str, digest: &str, revision: u32) -> bool {
    digest == wanted && revision == spec.revision
}

/// Only containers with our label: nothing else is ever named by a step.
fn by_server(containers: &[Container]) -> BTreeMap<ServerId, Vec<&Container>> {
    let mut servers: BTreeMap<ServerId, Vec<&Container>> = BTreeMap::new();
    for container in containers {
        if let Some(server) = container.server {
            servers.entry(server).or_default().push(container);
        }
    }
    servers
}
