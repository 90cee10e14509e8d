//! The list of hosts that a server may reach.

use std::{collections::BTreeSet, net::Ipv4Addr};

/// Without a port.
const HTTPS: u16 = 443;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is not a host that can be allowed")]
pub struct BadHost(String);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rule {
    /// Any public address.
    Any,
    Host {
        name: String,
        port: u16,
    },
    /// `*.example.com`: below it, not itself.
    Below {
        suffix: String,
        port: u16,
    },
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// `None` when the list is empty: then there is no network.
    pub fn of(hosts: &[String]) -> Result<Option<Self>, BadHost> {
        if hosts.is_empty() {
            return Ok(None);
        }
        hosts.iter().map(|host| rule(host)).collect::<Result<_, _>>().map(|rules| Some(Self(rules)))
    }

    pub fn allows(&self, host: &str, port: u16) -> bool {
        self.ports(host).any(|allowed| allowed.is_none_or(|allowed| allowed == port))
    }

    /// Whether any port of it is allowed.
    pub fn knows(&self, host: &str) -> bool {
        self.ports(host).next().is_some()
    }

    /// Names that are listed as they are, each once, in the order of the alphabet.
    pub(super) fn listed(&self) -> BTreeSet<&str> {
        let names = self.0.iter().filter_map(|rule| match rule {
            Rule::Host { name, .. } => Some(name.as_str()),
            Rule::Any | Rule::Below { .. } => None,
        });
        names.collect()
    }

    /// The ports of a host that are allowed; `None` is all of them.
    fn ports(&self, host: &str) -> impl Iterator<Item = Option<u16>> {
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        let good = is_name(&host);
        self.0.iter().filter(move |_| good).filter_map(move |rule| match rule {
            Rule::Any => Some(None),
            Rule::Host { name, port } => (*name == host).then_some(Some(*port)),
            Rule::Below { suffix, port } => {
                let below =
                    host.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1);
                below.then_some(Some(*port))
            }
        })
    }
}

fn rule(text: &str) -> Result<Rule, BadHost> {
    if text == "*" {
        return Ok(Rule::Any);
    }
    let bad = || BadHost(text.chars().take(100).collect());
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) => (name, port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?),
        None => (text, HTTPS),
    };
    let (below, name) = match name.strip_prefix("*.") {
        Some(name) => (true, name),
        None => (false, name),
    };
    if !is_name(name) {
        return Err(bad());
    }
    let name = name.to_ascii_lowercase();
    Ok(if below { Rule::Below { suffix: name, port } } else { Rule::Host { name, port } })
}

/// A host is allowed by its name and never by its address: a server reaches only what it asked for by name.
fn is_name(name: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len()) && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    name.len() <= 253 && name.parse::<Ipv4Addr>().is_err() && name.split('.').all(label)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(hosts: &[&str]) -> Rules {
        let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
        Rules::of(&hosts).unwrap().unwrap()
    }

    #[test]
    fn an_empty_list_is_no_network() {
        assert_eq!(Rules::of(&[]), Ok(None));
    }

    #[test]
    fn only_what_is_listed_passes() {
        let rules = rules(&["api.example.com", "db.example.com:5432", "*.cdn.example.com:443"]);
        assert!(rules.allows("api.example.com", 443) && rules.allows("API.Example.com.", 443));
        assert!(rules.allows("db.example.com", 5432) && rules.allows("a.cdn.example.com", 443));
        for (host, port) in [
            ("api.example.com", 80),
            ("db.example.com", 443),
            ("example.com", 443),
            ("evil-api.example.com", 443),
            ("api.example.com.evil.org", 443),
            ("cdn.example.com", 443),
            (".cdn.example.com", 443),
            ("evilcdn.example.com", 443),
        ] {
            assert!(!rules.allows(host, port), "{host}:{port}");
        }
        assert!(self::rules(&["*"]).allows("anything.example", 1));
        for name in ["api.example.com", "DB.example.com.", "a.cdn.example.com"] {
            assert!(rules.knows(name), "{name}");
        }
        for name in ["example.com", "cdn.example.com", "xdb.example.com", ""] {
            assert!(!rules.knows(name), "{name}");
        }
        for host in ["1.2.3.4", "[::1]", "a b", "a\0.example", "", "a..b"] {
            assert!(!self::rules(&["*"]).allows(host, 443) && !self::rules(&["*"]).knows(host), "{host}");
        }
        assert_eq!(rules.listed().into_iter().collect::<Vec<_>>(), ["api.example.com", "db.example.com"]);
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in [
            "",
            ":443",
            "a:0",
            "a:99999",
            "a b",
            "http://a",
            "a/b",
            "*.*.a",
            "**",
            "a..b",
            "[::1]:443",
            "1.2.3.4",
            "1.2.3.4:80",
        ] {
            assert!(Rules::of(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
