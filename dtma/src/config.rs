//! What can be set, read once. Options come before variables, variables before defaults.
//!
//! | variable | is |
//! |---|---|
//! | `DTMA_STATE` | the state folder; default `/var/lib/dtma` for root, `~/.local/share/dtma` else |
//! | `DTMA_EXTRA_CA` | certificates to trust beside the usual ones, a PEM file; default the machine's own bundle |
//! | `DTMA_SERVER_MEMORY_MB`, `DTMA_SERVER_CPUS`, `DTMA_SERVER_PIDS` | limits of each server: 512, 1, 256 |
//! | `DTMA_MEMORY_OVERCOMMIT` | how many times the machine's memory all servers together may be promised: 8 |
//! | `DTMA_RUNTIME` | what containers run with: `runc`, or `runsc` for gVisor |
//! | `DTMA_ALLOW_UNGUARDED` | `true`: start servers that may reach hosts although their firewall rules cannot be set |
//! | `DTMA_RECORD_ARGUMENTS` | `true`: events say what a tool was called with, not only its digest |
//! | `DTMA_LOG` | what is logged, e.g. `info` or `dtma=debug` |
//! | `DOCKER_HOST` | the Docker engine, as for `docker` |

use crate::docker::Limits;
use clap::Args;
use std::path::{Path, PathBuf};

/// Debian's; elsewhere the option says where it is.
const MACHINE_CA: &str = "/etc/ssl/certs/ca-certificates.crt";
pub const DEFAULT_LISTEN: &str = "127.0.0.1:8788";

#[derive(Args, Clone, Debug)]
pub struct StateOption {
    /// Where keys and state are kept
    #[arg(long, value_name = "DIR", env = "DTMA_STATE")]
    state: Option<PathBuf>,
}

impl StateOption {
    pub fn folder(&self) -> PathBuf {
        self.state.clone().unwrap_or_else(|| {
            if rustix::process::geteuid().is_root() {
                return "/var/lib/dtma".into();
            }
            let home = std::env::home_dir().unwrap_or_else(|| "/".into());
            home.join(".local/share/dtma")
        })
    }
}

#[derive(Args, Clone, Debug)]
pub struct RuntimeOption {
    /// What containers run with; runsc is gVisor, a kernel of its own for each, and must be known to the Docker engine
    #[arg(long, value_enum, env = "DTMA_RUNTIME", default_value_t = Runtime::Runc)]
    runtime: Runtime,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Runtime {
    /// The engine's own
    Runc,
    /// gVisor
    Runsc,
}

impl RuntimeOption {
    pub fn gvisor(&self) -> bool {
        self.runtime == Runtime::Runsc
    }
}

#[derive(Args, Clone, Debug)]
pub struct ServerOptions {
    /// Certificates to trust beside the usual ones (PEM)
    #[arg(long, value_name = "FILE", env = "DTMA_EXTRA_CA")]
    extra_ca: Option<PathBuf>,
    /// Memory of each server, MiB
    #[arg(long, value_name = "MB", env = "DTMA_SERVER_MEMORY_MB", default_value_t = 512, value_parser = clap::value_parser!(i64).range(16..))]
    server_memory: i64,
    /// Processors of each server
    #[arg(long, value_name = "N", env = "DTMA_SERVER_CPUS", default_value_t = 1.0, value_parser = cpus)]
    server_cpus: f64,
    /// Processes and threads of each server
    #[arg(long, value_name = "N", env = "DTMA_SERVER_PIDS", default_value_t = 256, value_parser = clap::value_parser!(i64).range(8..))]
    server_pids: i64,
    /// How many times the machine's memory all servers together may be promised
    #[arg(long, value_name = "TIMES", env = "DTMA_MEMORY_OVERCOMMIT", default_value_t = 8.0, value_parser = times)]
    memory_overcommit: f64,
    #[command(flatten)]
    runtime: RuntimeOption,
    /// Start servers that may reach hosts although the firewall rules cannot be set that keep them to those (not as root, or
    /// no iptables). They must then honour the proxy variables, and they reach what listens on this machine
    #[arg(long, env = "DTMA_ALLOW_UNGUARDED")]
    pub(crate) allow_unguarded: bool,
    /// Record what tools are called with, and not only its digest; known secrets are removed
    #[arg(long, env = "DTMA_RECORD_ARGUMENTS")]
    pub(crate) record_arguments: bool,
}

impl ServerOptions {
    pub fn limits(&self) -> Limits {
        Limits {
            memory_bytes: self.server_memory << 20,
            cpus: self.server_cpus,
            pids: self.server_pids,
            overcommit: self.memory_overcommit,
            gvisor: self.runtime.gvisor(),
            ..Limits::default()
        }
    }

    pub fn ca(&self) -> Option<PathBuf> {
        self.extra_ca.clone().or_else(|| Some(PathBuf::from(MACHINE_CA)).filter(|path: &PathBuf| Path::is_file(path)))
    }
}

fn times(text: &str) -> Result<f64, String> {
    let times: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.1..=1000.0).contains(&times) { Ok(times) } else { Err("must be between 0.1 and 1000".into()) }
}

fn cpus(text: &str) -> Result<f64, String> {
    let cpus: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if (0.01..=1024.0).contains(&cpus) { Ok(cpus) } else { Err("must be between 0.01 and 1024".into()) }
}
