//! Makes a toolbox look now instead of at its next check-in. It only saves time: nothing depends on its success.

use crate::reach;
use capability::{Minter, control};
use protocol::ids::ToolboxId;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// What a user's request waits for it at most.
const LIMIT: Duration = Duration::from_millis(300);

#[derive(Clone)]
pub struct Wake(Arc<Inner>);

struct Inner {
    minter: Arc<Minter>,
    client: reqwest::Client,
    reach: Reach,
}

/// A toolbox says itself where its gateway is, so the address is another's choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    /// The only toolbox is on this machine.
    Loopback,
    Public,
}

impl Wake {
    /// For the embedded default: calls loopback only.
    pub fn local(minter: Arc<Minter>) -> Self {
        Self::new(minter, Reach::Loopback)
    }

    /// For hosted functions: calls public addresses only, checked when dialled, over TLS.
    pub fn hosted(minter: Arc<Minter>) -> Self {
        Self::new(minter, Reach::Public)
    }

    fn new(minter: Arc<Minter>, reach: Reach) -> Self {
        let client = reqwest::Client::builder()
            .timeout(LIMIT)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Checked(reach)))
            // The toolbox's certificate is its own; what it learns from this call is that it may check in.
            .danger_accept_invalid_certs(reach == Reach::Public)
            .build()
            .expect("a client with a time limit can be built");
        Self(Arc::new(Inner { minter, client, reach }))
    }

    /// Tells the toolbox at `gateway` (its base address, with or without `/mcp`) to check in. Takes 300 ms at most.
    pub async fn toolbox(&self, toolbox: ToolboxId, gateway: &str) {
        match tokio::time::timeout(LIMIT, self.call(toolbox, gateway)).await {
            Ok(Ok(())) => {}
            Ok(Err(why)) => tracing::debug!(%toolbox, why, "toolbox not woken"),
            Err(_) => tracing::debug!(%toolbox, "toolbox not woken in time"),
        }
    }

    async fn call(&self, toolbox: ToolboxId, gateway: &str) -> Result<(), String> {
        let base = gateway.trim_end_matches('/').trim_end_matches("/mcp");
        let url = reqwest::Url::parse(&format!("{base}/wake")).map_err(|error| error.to_string())?;
        if !allowed(&url, self.0.reach) {
            return Err("an address that may not be called".to_owned());
        }
        let now = jiff::Timestamp::now().as_second();
        let token =
            control::sign(&self.0.minter, toolbox, control::Action::Wake, now).map_err(|error| error.to_string())?;
        let reply = self.0.client.post(url).bearer_auth(token).send().await.map_err(|error| error.to_string())?;
        reply.error_for_status().map(drop).map_err(|error| error.to_string())
    }
}

/// Literal addresses never pass the resolver, so they are checked here.
fn allowed(url: &reqwest::Url, reach: Reach) -> bool {
    let scheme = matches!((url.scheme(), reach), ("https", _) | ("http", Reach::Loopback));
    let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
    scheme && url.has_host() && literal.is_none_or(|address| reach.permits(address))
}

impl Reach {
    fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => address.is_loopback(),
            Self::Public => reach::is_public(address),
        }
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
mod tests;
