//! How a server's container is made: everything off that a server over standard input and output does not need.

use bollard::models::{ContainerCreateBody, HostConfig, HostConfigLogConfig, Mount, MountType};
use std::{
    collections::{BTreeMap, HashMap},
    net::Ipv4Addr,
};

const USER: &str = "65532:65532";
/// Where a server's own volume is: the one place that outlives its container.
pub const DATA: &str = "/data";
/// Where the machine's certificates are, for a server that may reach hosts.
pub const CA: &str = "/run/agentopia-ca.crt";

/// Counts up when this file changes what a container is: running ones are then replaced.
pub const RECIPE: u32 = 2;

#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    pub memory_bytes: i64,
    pub cpus: f64,
    pub pids: i64,
    pub tmpfs_bytes: i64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 512 << 20, cpus: 1.0, pids: 256, tmpfs_bytes: 128 << 20 }
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

/// A server's container to be. It has no `Debug`: the environment may hold secrets.
pub struct Launch {
    pub name: String,
    pub image: String,
    /// Replaces the image's entry point.
    pub entrypoint: Option<Vec<String>>,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub labels: HashMap<String, String>,
    pub volume: String,
    pub network: Network,
    /// The machine's certificates, mounted read-only.
    pub ca: Option<String>,
    pub limits: Limits,
}

impl Launch {
    pub(super) fn body(self) -> ContainerCreateBody {
        let limits = self.limits;
        let mut mounts = vec![Mount {
            target: Some(DATA.into()),
            source: Some(self.volume),
            typ: Some(MountType::VOLUME),
            ..Default::default()
        }];
        if let Some(ca) = self.ca {
            mounts.push(Mount {
                target: Some(CA.into()),
                source: Some(ca),
                typ: Some(MountType::BIND),
                read_only: Some(true),
                ..Default::default()
            });
        }
        let (network, dns) = match self.network {
            Network::None => ("none".to_owned(), None),
            Network::Named { name, dns } => (name, Some(vec![dns.to_string()])),
        };
        let host = HostConfig {
            dns,
            network_mode: Some(network),
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges".into()]),
            privileged: Some(false),
            readonly_rootfs: Some(true),
            tmpfs: Some([("/tmp".to_owned(), format!("rw,nosuid,nodev,size={},mode=1777", limits.tmpfs_bytes))].into()),
            mounts: Some(mounts),
            memory: Some(limits.memory_bytes),
            // The same as memory: no swap beside it.
            memory_swap: Some(limits.memory_bytes),
            nano_cpus: Some((limits.cpus * 1e9) as i64),
            pids_limit: Some(limits.pids),
            init: Some(true),
            ipc_mode: Some("private".into()),
            // Standard output is the protocol: with a log driver all of it would land on disk.
            log_config: Some(HostConfigLogConfig { typ: Some("none".into()), config: None }),
            ..Default::default()
        };
        ContainerCreateBody {
            image: Some(self.image),
            entrypoint: self.entrypoint,
            cmd: Some(self.args),
            user: Some(USER.into()),
            env: Some(self.env.into_iter().map(|(key, value)| format!("{key}={value}")).collect()),
            labels: Some(self.labels),
            tty: Some(false),
            attach_stdin: Some(true),
            attach_stdout: Some(true),
            attach_stderr: Some(true),
            open_stdin: Some(true),
            // Stays open when the daemon goes: the next one attaches again.
            stdin_once: Some(false),
            host_config: Some(host),
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn launch(network: Network, ca: Option<&str>) -> ContainerCreateBody {
        Launch {
            name: "n".into(),
            image: "i".into(),
            entrypoint: None,
            args: vec![],
            env: [("A".to_owned(), "b".to_owned())].into(),
            labels: HashMap::new(),
            volume: "v".into(),
            network,
            ca: ca.map(Into::into),
            limits: Limits::default(),
        }
        .body()
    }

    #[test]
    fn everything_is_off_that_a_server_does_not_need() {
        let body = launch(Network::None, None);
        let host = body.host_config.unwrap();
        assert_eq!(host.cap_drop.unwrap(), ["ALL"]);
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
        assert_eq!(host.readonly_rootfs, Some(true));
        assert_eq!(host.network_mode.unwrap(), "none");
        assert_eq!(host.log_config.unwrap().typ.unwrap(), "none");
        assert_eq!(host.memory, host.memory_swap);
        assert!(host.pids_limit.unwrap() > 0 && host.nano_cpus.unwrap() > 0);
        assert_eq!(host.binds, None);
        assert_eq!(host.mounts.unwrap().len(), 1);
        assert_eq!(body.user.unwrap(), "65532:65532");
        assert_eq!((body.open_stdin, body.stdin_once, body.tty), (Some(true), Some(false), Some(false)));
    }

    #[test]
    fn a_network_and_certificates_come_only_when_asked_for() {
        let host = launch(Network::Named { name: "net".into(), dns: [198, 18, 0, 1].into() }, Some("/etc/ca"))
            .host_config
            .unwrap();
        assert_eq!(host.network_mode.unwrap(), "net");
        assert_eq!(host.dns.unwrap(), ["198.18.0.1"]);
        let mounts = host.mounts.unwrap();
        assert_eq!(mounts.len(), 2);
        assert_eq!(mounts[1].read_only, Some(true));
    }
}
