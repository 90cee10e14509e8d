//! The list of hosts that a server may reach.

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
        let host = host.trim_end_matches('.').to_ascii_lowercase();
        self.0.iter().any(|rule| match rule {
            Rule::Any => true,
            Rule::Host { name, port: allowed } => *name == host && *allowed == port,
            Rule::Below { suffix, port: allowed } => {
                *allowed == port
                    && host.strip_suffix(suffix.as_str()).is_some_and(|rest| rest.ends_with('.') && rest.len() > 1)
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
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'))
    };
    if name.len() > 253 || !name.split('.').all(label) {
        return Err(bad());
    }
    let name = name.to_ascii_lowercase();
    Ok(if below { Rule::Below { suffix: name, port } } else { Rule::Host { name, port } })
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
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for bad in ["", ":443", "a:0", "a:99999", "a b", "http://a", "a/b", "*.*.a", "**", "a..b", "[::1]:443"] {
            assert!(Rules::of(&[bad.to_owned()]).is_err(), "{bad}");
        }
    }
}
