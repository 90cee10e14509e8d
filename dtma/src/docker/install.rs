//! Throw-away containers in which packages are installed, and images made of them.

use super::{Engine, Error, QUICK, SLOW, deadline, labels, seccomp};
use bollard::{
    container::LogOutput,
    exec::{StartExecOptions, StartExecResults},
    models::{ContainerConfig, ContainerCreateBody, ExecConfig, HostConfig, HostConfigLogConfig, Mount, MountType},
    query_parameters::{CommitContainerOptionsBuilder, CreateContainerOptionsBuilder},
};
use futures::StreamExt;
use protocol::ids::ToolboxId;
use std::{collections::HashMap, time::Duration};

/// What a command may say before the rest is dropped.
const OUTPUT_LIMIT: usize = 1 << 20;
const COMMIT: Duration = Duration::from_secs(120);
/// An installer that was forgotten ends by itself.
const LIFE: &str = "900";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InstallNetwork {
    Bridge,
    /// For a machine whose containers have no way out of it.
    Host,
}

/// What a command did.
#[derive(Clone, Debug, Default)]
pub struct Ran {
    pub code: i64,
    pub stdout: String,
    pub stderr: String,
}

/// How the image that is made of an installer is named and started.
pub struct Committed<'a> {
    pub name: &'a str,
    pub tag: &'a str,
    pub labels: HashMap<String, String>,
}

impl Engine {
    /// Starts an idle container of `image`. Mounts are (from, to), read-only.
    ///
    /// Neither environment nor anything else of the machine is given here, because Docker copies a container's
    /// environment into the image made of it; [`Engine::run`] takes it instead.
    pub async fn installer(
        &self,
        toolbox: ToolboxId,
        image: &str,
        network: InstallNetwork,
        mounts: &[(String, String)],
    ) -> Result<String, Error> {
        let mount = |(from, to): &(String, String)| Mount {
            source: Some(from.clone()),
            target: Some(to.clone()),
            typ: Some(MountType::BIND),
            read_only: Some(true),
            ..Default::default()
        };
        let scratch = "rw,nosuid,nodev,exec,size=1g,mode=1777".to_owned();
        let host = HostConfig {
            network_mode: Some(match network {
                InstallNetwork::Bridge => "bridge".into(),
                InstallNetwork::Host => "host".into(),
            }),
            mounts: Some(mounts.iter().map(mount).collect()),
            tmpfs: Some([("/tmp".to_owned(), scratch)].into()),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges".into(), seccomp::option()]),
            memory: Some(2 << 30),
            memory_swap: Some(2 << 30),
            pids_limit: Some(512),
            init: Some(true),
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            ..Default::default()
        };
        let body = ContainerCreateBody {
            image: Some(image.into()),
            entrypoint: Some(vec!["sleep".into(), LIFE.into()]),
            cmd: Some(vec![]),
            user: Some("0:0".into()),
            labels: Some([(labels::INSTALL.to_owned(), toolbox.to_string())].into()),
            host_config: Some(host),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&labels::throw_away()).build();
        let call = self.client().await?.create_container(Some(options), body);
        let id = deadline("create", SLOW, call).await?.id;
        if let Err(error) = self.start(&id).await {
            self.remove(&id).await?;
            return Err(error);
        }
        Ok(id)
    }

    /// Runs a command in a running container, to its end or the limit.
    pub async fn run(&self, id: &str, command: &[&str], env: Vec<String>, limit: Duration) -> Result<Ran, Error> {
        let client = self.client().await?;
        let config = ExecConfig {
            cmd: Some(command.iter().map(|word| (*word).to_owned()).collect()),
            env: Some(env),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            ..Default::default()
        };
        let exec = deadline("exec", QUICK, client.create_exec(id, config)).await?.id;
        let started = deadline("exec", QUICK, client.start_exec(&exec, None::<StartExecOptions>)).await?;
        let mut ran = Ran::default();
        if let StartExecResults::Attached { mut output, .. } = started {
            let read = async {
                while let Some(part) = output.next().await {
                    match part? {
                        LogOutput::StdErr { message } => push(&mut ran.stderr, &message),
                        LogOutput::StdOut { message } | LogOutput::Console { message } => {
                            push(&mut ran.stdout, &message)
                        }
                        LogOutput::StdIn { .. } => {}
                    }
                }
                Ok(())
            };
            deadline("install", limit, read).await?;
        }
        ran.code = deadline("exec", QUICK, client.inspect_exec(&exec)).await?.exit_code.unwrap_or(-1);
        Ok(ran)
    }

    /// Makes an image of the container as it is now.
    pub async fn commit(&self, id: &str, image: Committed<'_>) -> Result<(), Error> {
        let options =
            CommitContainerOptionsBuilder::new().container(id).repo(image.name).tag(image.tag).pause(false).build();
        // What is not said here is copied from the container: so that it is no installer, it says so.
        let mut said = image.labels;
        said.insert(labels::INSTALL.into(), String::new());
        let config = ContainerConfig {
            labels: Some(said),
            entrypoint: Some(vec![]),
            cmd: Some(vec!["true".into()]),
            ..Default::default()
        };
        deadline("commit", COMMIT, self.client().await?.commit_container(options, config)).await.map(|_| ())
    }
}

fn push(text: &mut String, bytes: &[u8]) {
    let room = OUTPUT_LIMIT.saturating_sub(text.len());
    text.push_str(&String::from_utf8_lossy(&bytes[..bytes.len().min(room)]));
}
