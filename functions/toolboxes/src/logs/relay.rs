//! The connection to a toolbox's gateway on which a server's log comes.

use capability::{Minter, control};
use edge::reach;
use protocol::ids::ToolboxId;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// A toolbox that does not answer by then is taken for away.
const CONNECT: Duration = Duration::from_secs(3);
/// The gateway says something at least this often, if only a comment.
const SILENCE: Duration = Duration::from_secs(90);

#[derive(Clone)]
pub(crate) struct Relay {
    minter: Arc<Minter>,
    client: reqwest::Client,
    reach: Reach,
}

/// A toolbox says itself where its gateway is, so the address is another's choice.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Reach {
    Loopback,
    Public,
}

impl Reach {
    fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => address.is_loopback(),
            Self::Public => reach::is_public(address),
        }
    }

    fn permits_url(self, url: &reqwest::Url) -> bool {
        // A literal address never passes the resolver.
        let literal = url.host_str().and_then(|host| host.trim_matches(['[', ']']).parse::<IpAddr>().ok());
        let scheme = matches!((url.scheme(), self), ("https", _) | ("http", Self::Loopback));
        scheme && url.has_host() && literal.is_none_or(|address| self.permits(address))
    }
}

impl Relay {
    pub(crate) fn local(minter: Arc<Minter>) -> Self {
        Self::new(minter, Reach::Loopback)
    }

    pub(crate) fn hosted(minter: Arc<Minter>) -> Self {
        Self::new(minter, Reach::Public)
    }

    fn new(minter: Arc<Minter>, reach: Reach) -> Self {
        let client = reqwest::Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .dns_resolver(Arc::new(Checked(reach)))
            .build()
            .expect("a client with time limits can be built");
        Self { minter, client, reach }
    }

    /// The stream of server-sent events that the gateway gives for `server`, or why there is none.
    pub(crate) async fn open(
        &self,
        toolbox: ToolboxId,
        gateway: &str,
        server: &str,
        now: i64,
    ) -> Result<reqwest::Response, String> {
        let base = gateway.trim_end_matches('/').trim_end_matches("/mcp");
        let url = reqwest::Url::parse(&format!("{base}/servers/{server}/logs")).map_err(|error| error.to_string())?;
        if !self.reach.permits_url(&url) {
            return Err("the gateway has an address that may not be called".to_owned());
        }
        let token = control::sign(&self.minter, toolbox, control::Action::Logs, now).map_err(|e| e.to_string())?;
        let request = self.client.get(url).bearer_auth(token).header("accept", "text/event-stream").send();
        let reply = tokio::time::timeout(CONNECT, request).await.map_err(|_| "no answer in time".to_owned())?;
        let reply = reply.and_then(reqwest::Response::error_for_status).map_err(|error| error.to_string())?;
        let kind = reply.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        if !kind.starts_with("text/event-stream") {
            return Err("the gateway answered with something else".to_owned());
        }
        Ok(reply)
    }
}

/// Keeps of a name's addresses those that may be called: what is checked is what is dialled.
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
