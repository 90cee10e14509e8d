//! How a server's container is made: everything off that a server over standard input and output does not need.
//!
//! An image brings settings of its own. For an `oci` server its command line is what runs, together with the folder it starts in
//! and those of its variables that we do not set; nothing else of an image shapes the container: not its user, volumes,
//! health check, stop signal, ports or labels.

use super::{agreed, labels, seccomp};
use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigLogConfig, Mount, MountTmpfsOptions, MountType,
    ResourcesUlimits,
};
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
    path::Path,
};

const USER: &str = "65532:65532";
/// Where a server's own volume is: the one place that outlives its container.
pub const DATA: &str = "/data";
/// Where the machine's certificates are, for a server that may reach hosts.
pub const CA: &str = "/run/agentopia-ca.crt";

const SCRATCH: &str = "/tmp";
/// Open files of each process.
const FILES: i64 = 16_384;
/// As the engine knows it.
pub const GVISOR: &str = "runsc";

/// Counts up when this file changes what a container is. It stands on each container; one that runs keeps the older until it
/// next starts, so that an upgrade of the daemon restarts nothing.
pub const RECIPE: u32 = 3;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub memory_bytes: i64,
    pub cpus: f64,
    pub pids: i64,
    pub tmpfs_bytes: i64,
    /// How many times the machine's memory all servers together may be promised.
    pub overcommit: f64,
    /// Run in gVisor (`runsc`), which the engine must have.
    pub gvisor: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, cpus: 1.0, pids: 256, tmpfs_bytes: 128 << 20, overcommit: 8.0, gvisor: false }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Network {
    None,
    /// An internal network of its own, and who answers for names on it.
    Named {
        name: String,
        dns: Ipv4Addr,
    },
}

/// A server's container to be. Nothing in it is secret: that is [`super::given::Given`].
#[derive(Debug)]
pub struct Launch {
    pub name: String,
    pub image: String,
    /// The program and its arguments.
    pub command: Vec<String>,
    /// Where it starts.
    pub workdir: String,
    /// Folders that the image declares to be volumes: they are in memory and go with the container. Without this Docker
    /// would make volumes without a name, and so places to write that have no limit.
    pub masked: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub labels: HashMap<String, String>,
    pub volume: String,
    pub network: Network,
    /// The machine's certificates, mounted read-only.
    pub ca: Option<String>,
    pub limits: Limits,
}

impl Launch {
    /// `pipes`: the folder of the server's pipes and its init.
    pub(super) fn body(self, pipes: &Path) -> ContainerCreateBody {
        let limits = self.limits;
        let data = Mount {
            target: Some(DATA.into()),
            source: Some(self.volume),
            typ: Some(MountType::VOLUME),
            ..Default::default()
        };
        let mut mounts = vec![data, read_only(pipes.display().to_string(), agreed::FOLDER)];
        if let Some(ca) = self.ca {
            mounts.push(read_only(ca, CA));
        }
        // One of the image's that is a place of ours stays ours.
        for folder in self.masked.into_iter().filter(|folder| folder != DATA && folder != SCRATCH) {
            mounts.push(Mount {
                target: Some(folder),
                typ: Some(MountType::TMPFS),
                tmpfs_options: Some(MountTmpfsOptions {
                    size_bytes: Some(limits.tmpfs_bytes),
                    mode: Some(0o1777),
                    ..Default::default()
                }),
                ..Default::default()
            });
        }
        let mut said = self.labels;
        said.insert(labels::MEMORY.into(), limits.memory_bytes.to_string());
        // An image could carry it.
        said.insert(labels::INSTALL.into(), String::new());
        let ulimit =
            |name: &str, most| ResourcesUlimits { name: Some(name.into()), soft: Some(most), hard: Some(most) };
        let (network, dns) = match self.network {
            Network::None => ("none".to_owned(), None),
            Network::Named { name, dns } => (name, Some(vec![dns.to_string()])),
        };
        let host = HostConfig {
            dns,
            network_mode: Some(network),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges".into(), seccomp::option()]),
            privileged: Some(false),
            readonly_rootfs: Some(true),
            // Programs may be run there: those that unpack themselves (PyInstaller, native add-ons) do so there.
            tmpfs: Some(
                [(SCRATCH.to_owned(), format!("rw,nosuid,nodev,exec,size={},mode=1777", limits.tmpfs_bytes))].into(),
            ),
            mounts: Some(mounts),
            memory: Some(limits.memory_bytes),
            // The same as memory: no swap beside it.
            memory_swap: Some(limits.memory_bytes),
            nano_cpus: Some((limits.cpus * 1e9) as i64),
            pids_limit: Some(limits.pids),
            ulimits: Some(vec![ulimit("core", 0), ulimit("nofile", FILES)]),
            shm_size: Some(limits.tmpfs_bytes),
            // Before dtma and Docker when the machine itself runs out of memory.
            oom_score_adj: Some(500),
            runtime: limits.gvisor.then(|| GVISOR.to_owned()),
            publish_all_ports: Some(false),
            init: Some(true),
            ipc_mode: Some("private".into()),
            // Standard output is the protocol: with a log driver all of it would land on disk.
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            ..Default::default()
        };
        ContainerCreateBody {
            image: Some(self.image),
            cmd: Some(self.command),
            entrypoint: Some(vec![format!("{}/init", agreed::FOLDER)]),
            user: Some(USER.into()),
            env: Some(self.env.into_iter().map(|(key, value)| format!("{key}={value}")).collect()),
            labels: Some(said),
            working_dir: Some(self.workdir),
            healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..Default::default() }),
            stop_signal: Some("SIGTERM".into()),
            tty: Some(false),
            host_config: Some(host),
            ..Default::default()
        }
    }
}

fn read_only(from: String, to: &str) -> Mount {
    Mount {
        target: Some(to.into()),
        source: Some(from),
        typ: Some(MountType::BIND),
        read_only: Some(true),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(network: Network, ca: Option<&str>) -> ContainerCreateBody {
        Launch {
            name: "n".into(),
            image: "i".into(),
            command: vec!["serve".into(), "--all".into()],
            workdir: "/app".into(),
            masked: vec!["/cache".into(), "/data".into(), "/tmp".into()],
            env: [("A".to_owned(), "b".to_owned())].into(),
            labels: HashMap::new(),
            volume: "v".into(),
            network,
            ca: ca.map(Into::into),
            limits: Limits::default(),
        }
        .body(Path::new("/state/io/n"))
    }

    #[test]
    fn everything_is_off_that_a_server_does_not_need() {
        let body = launch(Network::None, None);
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        let options = host.security_opt.unwrap();
        assert!(options[0] == "no-new-privileges" && options[1].starts_with("seccomp={"), "{options:?}");
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.network_mode.unwrap(), "none");
        assert_eq!(host.log_config.unwrap().typ.unwrap(), "none");
        assert_eq!(host.memory, host.memory_swap);
        assert!(host.pids_limit.unwrap() > 0 && host.nano_cpus.unwrap() > 0);
        assert_eq!(host.binds, None);
        // Its own volume, and memory over what the image calls one.
        let mounts: Vec<_> = host.mounts.unwrap().into_iter().map(|mount| (mount.target.unwrap(), mount.typ)).collect();
        let kinds = [
            ("/data".to_owned(), Some(MountType::VOLUME)),
            ("/run/agentopia".to_owned(), Some(MountType::BIND)),
            ("/cache".to_owned(), Some(MountType::TMPFS)),
        ];
        assert_eq!(mounts, kinds);
        assert_eq!(host.runtime, None);
        assert_eq!(body.healthcheck.unwrap().test.unwrap(), ["NONE"]);
        assert_eq!(body.labels.unwrap()["agentopia.install"], "");
        assert_eq!(body.user.unwrap(), "65532:65532");
        // None of its streams is Docker's.
        assert_eq!((body.open_stdin, body.attach_stdin, body.attach_stdout), (None, None, None));
    }

    #[test]
    fn a_network_and_certificates_come_only_when_asked_for() {
        let network = Network::Named { name: "net".into(), dns: [198, 18, 0, 1].into() };
        let host = launch(network, Some("/etc/ca")).host_config.unwrap();
        assert_eq!(host.network_mode.unwrap(), "net");
        assert_eq!(host.dns.unwrap(), ["198.18.0.1"]);
        let mounts = host.mounts.unwrap();
        assert_eq!(mounts.len(), 4);
        assert_eq!(mounts[2].read_only, Some(true));
    }

    #[test]
    fn the_init_comes_first_and_cannot_be_written() {
        let body = launch(Network::None, None);
        assert_eq!(body.entrypoint.unwrap(), ["/run/agentopia/init"]);
        assert_eq!(body.cmd.unwrap(), ["serve", "--all"]);
        let mounts = body.host_config.unwrap().mounts.unwrap();
        assert_eq!(mounts[1].source.as_deref(), Some("/state/io/n"));
        assert_eq!(mounts[1].read_only, Some(true));
    }
}
