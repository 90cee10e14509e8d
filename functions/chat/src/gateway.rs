//! Calls to toolboxes' gateways. A toolbox says itself where its gateway is, so what is called is checked.

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Where gateways may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reach {
    /// On this machine only.
    Loopback,
    /// At public addresses only, over TLS.
    Public,
}

impl Reach {
    fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => address.is_loopback(),
            Self::Public => edge::reach::is_public(address),
        }
    }

    /// The gateway's `/mcp`, if it may be called. A literal address never passes the resolver, so it is checked here.
    pub(crate) fn endpoint(self, gateway: &str) -> Option<String> {
        let base = gateway.trim_end_matches('/').trim_end_matches("/mcp");
        let url = reqwest::Url::parse(&format!("{base}/mcp")).ok()?;
        let scheme = matches!((url.scheme(), self), ("https", _) | ("http", Self::Loopback));
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        (scheme && url.has_host() && literal.is_none_or(|address| self.permits(address))).then(|| url.to_string())
    }

    pub(crate) fn client(self) -> reqwest::Client {
        reqwest::Client::builder()
            .connect_timeout(Duration::from_secs(5))
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Checked(self)))
            .build()
            .expect("a client without files or special settings")
    }
}

/// Resolves a name and keeps only what may be called: the addresses that are checked are those that are dialled.
struct Checked(Reach);

impl Resolve for Checked {
    fn resolve(&self, name: Name) -> Resolving {
        let reach = self.0;
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let permitted: Vec<_> = found.filter(|address| reach.permits(address.ip())).collect();
            if permitted.is_empty() {
                return Err("no address that may be called".into());
            }
            Ok(Box::new(permitted.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::Reach;

    #[test]
    fn only_what_may_be_called_is_an_endpoint() {
        assert_eq!(Reach::Loopback.endpoint("http://127.0.0.1:8788").as_deref(), Some("http://127.0.0.1:8788/mcp"));
        assert_eq!(Reach::Loopback.endpoint("http://127.0.0.1:8788/mcp").as_deref(), Some("http://127.0.0.1:8788/mcp"));
        assert_eq!(Reach::Public.endpoint("https://8.8.8.8/").as_deref(), Some("https://8.8.8.8/mcp"));
        for (reach, gateway) in [
            (Reach::Loopback, "http://10.0.0.1:1"),
            (Reach::Loopback, "http://169.254.169.254"),
            (Reach::Public, "http://8.8.8.8"),
            (Reach::Public, "https://127.0.0.1"),
            (Reach::Public, "https://[::1]"),
            (Reach::Public, "https://169.254.169.254"),
            (Reach::Public, "file:///etc/passwd"),
        ] {
            assert_eq!(reach.endpoint(gateway), None, "{gateway}");
        }
    }
}
