//! The machine's rules for servers' networks: what a server sends to an address that stands for a name is turned to the gate, what
//! it asks of port 53 to our resolver, and nothing else of the machine or beyond it is reached.

use super::{DNS_PORT, PORT, tool::run};
use crate::docker::Subnet;
use std::time::Duration;
use tokio::sync::watch;

/// Every server's bridge is called so.
const BRIDGES: &str = "agt+";
const STEM: &str = "agt";

/// Whether the rules are there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    Kept,
    /// Why not, in words, and what to do.
    Missing(String),
}

impl Guard {
    /// Why the rules are not there, if they are not.
    pub fn trouble(self) -> Option<String> {
        match self {
            Self::Kept => None,
            Self::Missing(why) => Some(why),
        }
    }
}

/// A chain of ours, and where the kernel's own leads to it. In chains of our own so that they are replaced as a whole, at once.
struct Chain {
    table: &'static str,
    name: &'static str,
    /// The kernel's chain and the interface's side.
    from: &'static [(&'static str, &'static str)],
    rules: Vec<String>,
}

fn chains() -> [Chain; 3] {
    let input = Chain {
        table: "filter",
        name: "AGENTOPIA-INPUT",
        from: &[("INPUT", "-i")],
        rules: vec![
            format!("-p tcp -m tcp --dport {PORT} -j ACCEPT"),
            format!("-p udp -m udp --dport {DNS_PORT} -j ACCEPT"),
            format!("-p tcp -m tcp --dport {DNS_PORT} -j ACCEPT"),
            "-j DROP".into(),
        ],
    };
    let turn = Chain {
        table: "nat",
        name: "AGENTOPIA-TURN",
        from: &[("PREROUTING", "-i")],
        rules: vec![
            format!("-d {} -p tcp -j REDIRECT --to-ports {PORT}", Subnet::UPPER),
            format!("-p udp -m udp --dport 53 -j REDIRECT --to-ports {DNS_PORT}"),
            format!("-p tcp -m tcp --dport 53 -j REDIRECT --to-ports {DNS_PORT}"),
            // Before Docker's, which lead to containers with published ports.
            "-j ACCEPT".into(),
        ],
    };
    // In a table that nobody else's "accept" comes before.
    let through = Chain {
        table: "mangle",
        name: "AGENTOPIA-FORWARD",
        from: &[("FORWARD", "-i"), ("FORWARD", "-o")],
        rules: vec!["-j DROP".into()],
    };
    [input, turn, through]
}

pub struct Firewall;

impl Firewall {
    /// Puts the rules in place unless they are. Idempotent; they are the machine's, not one toolbox's.
    pub async fn keep() -> Guard {
        match keep().await {
            Ok(()) => Guard::Kept,
            Err(why) => missing(&why),
        }
    }

    /// Puts the rules back when somebody else has thrown them away, as a reload of the machine's own rules does; for as long as
    /// this is polled. `trouble` says why they are not there.
    pub async fn watch(every: Duration, needed: impl Fn() -> bool, trouble: &watch::Sender<Option<String>>) {
        loop {
            tokio::time::sleep(every).await;
            if !needed() {
                continue;
            }
            let now = Self::keep().await.trouble();
            trouble.send_if_modified(|before| {
                let changed = *before != now;
                if changed {
                    tracing::warn!(why = now.as_deref().unwrap_or("they are back"), "the firewall's rules");
                }
                *before = now;
                changed
            });
        }
    }

    pub async fn look() -> Guard {
        match look().await {
            Ok(true) => Guard::Kept,
            Ok(false) => missing("they are not set"),
            Err(why) => missing(&why),
        }
    }

    /// Takes the rules away when no toolbox of this machine has a network any more.
    pub async fn release() {
        let interfaces = std::fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
        if interfaces.into_iter().any(|entry| entry.file_name().to_string_lossy().starts_with(STEM)) {
            return;
        }
        for chain in chains() {
            for (from, side) in chain.from {
                // Until it is not there.
                while iptables(chain.table, &["-D", from, side, BRIDGES, "-j", chain.name]).await.is_ok() {}
            }
            for action in ["-F", "-X"] {
                // Not there is as good as taken away.
                let _ = iptables(chain.table, &[action, chain.name]).await;
            }
        }
    }
}

async fn keep() -> Result<(), String> {
    if look().await? {
        return Ok(());
    }
    // Each table at once: there is no moment without them.
    let mut all = String::new();
    for chain in chains() {
        let there = ways(&chain).await?;
        let Chain { table, name, from, rules } = &chain;
        all += &format!("*{table}\n:{name} - [0:0]\n");
        for rule in rules {
            all += &format!("-A {name} {rule}\n");
        }
        if !leads(&chain, &there) {
            for (from, side) in *from {
                let way = way(&chain, from, side);
                // Moved to the front, so that they do not become more each time that others come before them.
                let times = there.iter().filter(|rule| **rule == format!("-A {way}")).count();
                all += &format!("-D {way}\n").repeat(times);
                all += &format!("-I {way}\n");
            }
        }
        all += "COMMIT\n";
    }
    run("iptables-restore", &["-w", "5", "--noflush"], &all).await.map(drop)
}

async fn look() -> Result<bool, String> {
    for chain in chains() {
        if !leads(&chain, &ways(&chain).await?) {
            return Ok(false);
        }
        for rule in &chain.rules {
            let words: Vec<&str> = ["-C", chain.name].into_iter().chain(rule.split(' ')).collect();
            if iptables(chain.table, &words).await.is_err() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The rules of the kernel's chain that leads to this one.
async fn ways(chain: &Chain) -> Result<Vec<String>, String> {
    let Some((from, _)) = chain.from.first() else { return Ok(Vec::new()) };
    let listed = iptables(chain.table, &["-S", from]).await?;
    Ok(listed.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect())
}

/// Whether the kernel's chain begins with the ways to ours: another program may have put its own rules first.
fn leads(chain: &Chain, ways: &[String]) -> bool {
    let first = &ways[..chain.from.len().min(ways.len())];
    chain.from.iter().all(|(from, side)| first.contains(&format!("-A {}", way(chain, from, side))))
}

fn way(chain: &Chain, from: &str, side: &str) -> String {
    format!("{from} {side} {BRIDGES} -j {}", chain.name)
}

fn missing(why: &str) -> Guard {
    Guard::Missing(format!(
        "servers that may reach hosts are not started: the firewall rules that keep them to those hosts cannot be set ({why}); \
         install iptables and iproute2, and run dtma as root"
    ))
}

async fn iptables(table: &str, words: &[&str]) -> Result<String, String> {
    let all: Vec<&str> = ["-w", "5", "-t", table].into_iter().chain(words.iter().copied()).collect();
    run("iptables", &all, "").await
}
