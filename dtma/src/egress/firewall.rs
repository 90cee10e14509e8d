//! A server's network leads to this machine's address on it, and so to everything that listens there. Rules keep it to the proxy.

use super::PORT;
use std::process::Stdio;
use tokio::process::Command;

/// Every server's bridge is called so.
const BRIDGES: &str = "agt+";

/// Whether the rules are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    Kept,
    /// Why not, in words, and what to do.
    Missing(String),
}

pub struct Firewall;

impl Firewall {
    /// Puts the rules in place unless they are. Idempotent; they are the machine's, not one toolbox's.
    pub async fn keep() -> Guard {
        let port = PORT.to_string();
        // Inserted at the top, so the last one inserted is looked at first.
        for rule in rules(&port).iter().rev() {
            if iptables("-C", rule).await.is_ok() {
                continue;
            }
            if let Err(why) = iptables("-I", rule).await {
                return missing(&why);
            }
        }
        Guard::Kept
    }

    pub async fn look() -> Guard {
        let port = PORT.to_string();
        for rule in rules(&port) {
            if let Err(why) = iptables("-C", &rule).await {
                return missing(&why);
            }
        }
        Guard::Kept
    }

    /// Takes the rules away when no toolbox of this machine has a network any more.
    pub async fn release() {
        let interfaces = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        let stem = BRIDGES.trim_end_matches('+');
        if interfaces.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(stem)) {
            return;
        }
        let port = PORT.to_string();
        for rule in rules(&port) {
            // Not there is as good as taken away.
            let _ = iptables("-D", &rule).await;
        }
    }
}

/// In the order in which they are looked at.
fn rules(port: &str) -> [Vec<&str>; 2] {
    [vec!["-i", BRIDGES, "-p", "tcp", "--dport", port, "-j", "ACCEPT"], vec!["-i", BRIDGES, "-j", "DROP"]]
}

fn missing(why: &str) -> Guard {
    Guard::Missing(format!(
        "servers that may reach hosts also reach what listens on this machine: the iptables rules against it are not there ({why})"
    ))
}

async fn iptables(action: &str, rule: &[&str]) -> Result<(), String> {
    let run = |program: &'static str| {
        Command::new(program)
            .args(["-w", "5", action, "INPUT"])
            .args(rule)
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
    };
    let output = match run("iptables").await {
        Err(_) => run("/usr/sbin/iptables").await.map_err(|error| error.to_string())?,
        Ok(output) => output,
    };
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(said.lines().next().unwrap_or("it refused").to_owned())
}
