//! Versions that were resolved once: a server keeps the one it was first deployed with.

use protocol::ids::ServerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A new deployment of a package without a version takes the last resolved one for this long, seconds.
const FRESH: i64 = 24 * 60 * 60;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pin {
    /// `npx:package` or `uvx:package`.
    pub package: String,
    pub version: String,
    /// Further requirements that made it start, e.g. `mcp<2`.
    #[serde(default)]
    pub with: Vec<String>,
    /// Seconds since the epoch.
    pub at: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pins {
    servers: BTreeMap<ServerId, Pin>,
    latest: BTreeMap<String, Pin>,
}

impl Pins {
    pub fn find(&self, server: ServerId, package: &str, now: i64) -> Option<&Pin> {
        let own = self.servers.get(&server).filter(|pin| pin.package == package);
        own.or_else(|| self.latest.get(package).filter(|pin| (0..FRESH).contains(&(now - pin.at))))
    }

    /// What this server itself was given, and no other server's.
    pub fn own(&self, server: ServerId, package: &str) -> Option<&Pin> {
        self.servers.get(&server).filter(|pin| pin.package == package)
    }

    /// True when something changed.
    pub fn set(&mut self, server: ServerId, pin: Pin) -> bool {
        let known = self.servers.get(&server).is_some_and(|held| held.version == pin.version && held.with == pin.with);
        if known && self.latest.contains_key(&pin.package) {
            return false;
        }
        self.latest.insert(pin.package.clone(), pin.clone());
        self.servers.insert(server, pin);
        true
    }

    /// Forgets servers that are no longer wanted. True when something changed.
    pub fn retain(&mut self, wanted: impl Fn(&ServerId) -> bool) -> bool {
        let before = self.servers.len();
        self.servers.retain(|id, _| wanted(id));
        self.servers.len() != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(version: &str, at: i64) -> Pin {
        Pin { package: "npx:a".into(), version: version.into(), with: vec![], at }
    }

    #[test]
    fn a_server_keeps_its_version_and_a_new_one_takes_the_last_of_the_day() {
        let (old, new) = (ServerId::new(), ServerId::new());
        let mut pins = Pins::default();
        assert!(pins.set(old, pin("1", 0)));
        assert!(!pins.set(old, pin("1", 5)));
        assert_eq!(pins.find(new, "npx:a", 10).unwrap().version, "1");
        assert!(pins.find(new, "npx:a", FRESH).is_none());
        assert!(pins.find(new, "npx:b", 10).is_none());
        pins.set(new, pin("2", FRESH));
        assert_eq!(pins.find(old, "npx:a", FRESH + 1).unwrap().version, "1");
        assert!(pins.retain(|id| *id == new));
        assert_eq!(pins.find(old, "npx:a", FRESH + 1).unwrap().version, "2");
    }
}
