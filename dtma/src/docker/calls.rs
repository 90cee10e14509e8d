//! Containers: see, make, start, stop, remove.

use super::{Engine, Error, Launch, Limits, QUICK, SLOW, deadline, labels, room::Room};
use bollard::{
    models::ContainerSummaryStateEnum,
    query_parameters::{
        CreateContainerOptionsBuilder, InspectContainerOptions, ListContainersOptionsBuilder,
        RemoveContainerOptionsBuilder, StartContainerOptions, StopContainerOptionsBuilder, WaitContainerOptionsBuilder,
    },
};
use futures::StreamExt;
use protocol::ids::{ServerId, ToolboxId};
use serde::{Deserialize, Serialize};
use std::{collections::HashMap, time::Duration};

/// A container as seen, by its labels.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub id: String,
    /// Absent when it is not ours: then nothing may be done with it. Ours has the label and the one name that goes with it,
    /// since a container inherits labels, ours too, from whatever image it is made of.
    #[serde(default)]
    pub server: Option<ServerId>,
    #[serde(default)]
    pub spec_digest: String,
    #[serde(default)]
    pub revision: u32,
    #[serde(default)]
    pub running: bool,
    /// Seconds since the epoch.
    #[serde(default)]
    pub created: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    pub running: bool,
    pub code: Option<i64>,
    pub out_of_memory: bool,
    pub started_at: Option<protocol::Timestamp>,
}

/// What a container was made with.
#[derive(Debug)]
pub struct Inspected {
    pub labels: HashMap<String, String>,
    /// Its first process, as the machine numbers it, while it runs.
    pub process: Option<u32>,
    pub started_at: Option<protocol::Timestamp>,
}

/// The engine itself.
#[derive(Clone, Debug)]
pub struct About {
    pub version: String,
    pub runc: Option<String>,
    /// What containers can be run with, by name.
    pub runtimes: Vec<String>,
}

impl Engine {
    pub async fn about(&self) -> Result<About, Error> {
        let version = deadline("version", QUICK, self.client().await?.version()).await?;
        let mut parts = version.components.unwrap_or_default().into_iter();
        let runc = parts.find(|part| part.name == "runc").map(|part| part.version);
        let info = deadline("info", QUICK, self.client().await?.info()).await?;
        let runtimes = info.runtimes.unwrap_or_default().into_keys().collect();
        Ok(About { version: version.version.unwrap_or_default(), runc, runtimes })
    }

    /// This toolbox's containers, running or not.
    pub async fn containers(&self, toolbox: ToolboxId) -> Result<Vec<Container>, Error> {
        let found = self.labelled(format!("{}={toolbox}", labels::TOOLBOX)).await?;
        Ok(found.into_iter().map(|found| seen(toolbox, found)).collect())
    }

    /// Throw-away containers of this toolbox; after a start, those that a killed daemon left behind.
    pub async fn leftovers(&self, toolbox: ToolboxId) -> Result<Vec<String>, Error> {
        let found = self.labelled(format!("{}={toolbox}", labels::INSTALL)).await?;
        let ours = |found: &Found| found.name.starts_with(labels::THROW_AWAY);
        Ok(found.into_iter().filter(ours).map(|found| found.id).collect())
    }

    async fn labelled(&self, label: String) -> Result<Vec<Found>, Error> {
        let filters = HashMap::from([("label", vec![label])]);
        let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
        let all = deadline("list", QUICK, self.client().await?.list_containers(Some(options))).await?;
        let known = |c: bollard::models::ContainerSummary| {
            let name = c.names.and_then(|names| names.into_iter().next()).unwrap_or_default();
            Some(Found {
                id: c.id?,
                name: name.trim_start_matches('/').to_owned(),
                running: matches!(c.state, Some(ContainerSummaryStateEnum::RUNNING)),
                created: c.created.unwrap_or_default(),
                labels: c.labels.unwrap_or_default(),
            })
        };
        Ok(all.into_iter().filter_map(known).collect())
    }

    /// Refused when the machine has no room for it, counting the servers of all its toolboxes.
    pub async fn create(&self, launch: Launch) -> Result<String, Error> {
        let _alone = self.room.lock().await;
        self.has_room(launch.limits).await?;
        let options = CreateContainerOptionsBuilder::new().name(&launch.name).build();
        let pipes = self.pipes.make(&launch.name)?;
        let call = self.client().await?.create_container(Some(options), launch.body(&pipes));
        Ok(deadline("create", SLOW, call).await?.id)
    }

    async fn has_room(&self, limits: Limits) -> Result<(), Error> {
        let info = deadline("info", QUICK, self.client().await?.info()).await?;
        // An engine that does not say how much there is cannot be held to it.
        let Some(memory) = info.mem_total.filter(|memory| *memory > 0) else { return Ok(()) };
        let promised = self.labelled(labels::MEMORY.into()).await?;
        let ours = promised.iter().filter(|found| found.name.starts_with(labels::STEM));
        let promised = ours.filter_map(|found| found.labels.get(labels::MEMORY)?.parse::<i64>().ok());
        let promised = promised.map(|memory| memory.max(0)).fold(0, i64::saturating_add);
        Room { memory, promised, overcommit: limits.overcommit }.check(limits.memory_bytes).map_err(Error::Full)
    }

    pub async fn start(&self, id: &str) -> Result<(), Error> {
        deadline("start", SLOW, self.client().await?.start_container(id, None::<StartContainerOptions>)).await
    }

    /// Asks it to end, and ends it after `grace` seconds. It is fine when it is gone or has ended already.
    pub async fn stop(&self, id: &str, grace: u32) -> Result<(), Error> {
        let options = StopContainerOptionsBuilder::new().t(grace.min(60) as i32).build();
        let call = self.client().await?.stop_container(id, Some(options));
        gone_is_fine(deadline("stop", SLOW + Duration::from_secs(grace.into()), call).await)
    }

    /// Removes it and the volumes without a name; it is fine when it is gone already.
    pub async fn remove(&self, id: &str) -> Result<(), Error> {
        let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
        gone_is_fine(deadline("remove", SLOW, self.client().await?.remove_container(id, Some(options))).await)
    }

    pub async fn exit(&self, id: &str) -> Result<Exit, Error> {
        let call = self.client().await?.inspect_container(id, None::<InspectContainerOptions>);
        let state = deadline("inspect", QUICK, call).await?.state.unwrap_or_default();
        let running = state.running.unwrap_or(false);
        Ok(Exit {
            running,
            code: state.exit_code.filter(|_| !running),
            out_of_memory: state.oom_killed.unwrap_or(false),
            started_at: state.started_at.and_then(|at| at.parse().ok()),
        })
    }

    pub async fn inspect(&self, id: &str) -> Result<Inspected, Error> {
        let call = self.client().await?.inspect_container(id, None::<InspectContainerOptions>);
        let seen = deadline("inspect", QUICK, call).await?;
        let config = seen.config.unwrap_or_default();
        let state = seen.state.unwrap_or_default();
        let process = state.pid.and_then(|pid| u32::try_from(pid).ok());
        Ok(Inspected {
            labels: config.labels.unwrap_or_default(),
            process: process.filter(|pid| *pid != 0),
            started_at: state.started_at.and_then(|at| at.parse().ok()),
        })
    }

    /// Returns when the container has ended, or when the engine does not say so within `limit`.
    pub async fn ended(&self, id: &str, limit: Duration) -> Result<(), Error> {
        let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
        let mut waiting = self.client().await?.wait_container(id, Some(options));
        let ended = async {
            match waiting.next().await {
                // bollard reports an exit code other than zero as an error.
                None | Some(Ok(_)) | Some(Err(bollard::errors::Error::DockerContainerWaitError { .. })) => Ok(()),
                Some(Err(error)) => Err(error),
            }
        };
        deadline("wait", limit, ended).await
    }
}

/// A container as the engine lists it.
struct Found {
    id: String,
    name: String,
    running: bool,
    created: i64,
    labels: HashMap<String, String>,
}

fn seen(toolbox: ToolboxId, found: Found) -> Container {
    let label = |key: &str| found.labels.get(key).map(String::as_str).unwrap_or_default();
    let server = label(labels::SERVER).parse().ok();
    Container {
        server: server.filter(|server| found.name == labels::name(toolbox, *server)),
        spec_digest: label(labels::SPEC).to_owned(),
        revision: label(labels::REVISION).parse().unwrap_or_default(),
        running: found.running,
        created: found.created,
        id: found.id,
    }
}

pub(super) fn gone_is_fine(done: Result<(), Error>) -> Result<(), Error> {
    match done {
        Err(Error::NotFound(_)) => Ok(()),
        // Somebody else is removing it.
        Err(Error::Conflict(why)) if why.contains("already in progress") => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(name: String, labels: HashMap<String, String>) -> Found {
        Found { id: "c".into(), name, running: true, created: 0, labels }
    }

    #[test]
    fn labels_make_a_container_ours_only_under_its_own_name() {
        let (toolbox, server) = (ToolboxId::new(), ServerId::new());
        let ours = labels::of_server(toolbox, server);
        assert_eq!(seen(toolbox, found(labels::name(toolbox, server), ours.clone())).server, Some(server));
        // From an image that carries our labels, with a name that Docker or a person gave.
        for name in ["quirky_hopper".to_owned(), labels::name(toolbox, ServerId::new()), String::new()] {
            assert_eq!(seen(toolbox, found(name, ours.clone())).server, None);
        }
        // Of another toolbox on the same engine.
        let other = ToolboxId::new();
        assert_eq!(seen(toolbox, found(labels::name(other, server), ours)).server, None);
    }
}
