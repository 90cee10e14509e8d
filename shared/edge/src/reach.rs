//! Calls to toolboxes' gateways. A toolbox says itself where its gateway is, so the address is another's choice: this is the
//! one place that says whether it may be called, and who it is that answers there.
//!
//! * Plain HTTP goes to this machine's loopback only, and only where the one toolbox is this machine's own.
//! * TLS goes to exactly the certificate that the toolbox enrolled with, whoever else vouches for another.
//! * A name is resolved once: the addresses that are checked are those that are dialled.
//! * No redirect is followed and no proxy asked.

mod pinned;
#[cfg(test)]
mod tests;

use database::{Caller, Database};
use pinned::Pin;
use protocol::ids::ToolboxId;
use reqwest::{
    Client, ClientBuilder, Url,
    dns::{Addrs, Name, Resolve, Resolving},
};
use std::{net::IpAddr, sync::Arc, time::Duration};

/// Where gateways may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    /// The only toolbox is on this machine.
    Loopback,
    /// At public addresses only, over TLS.
    Public,
}

/// How long a gateway is waited for.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Until it is connected.
    pub connect: Duration,
    /// Until the whole answer is there, if that is known.
    pub whole: Option<Duration>,
    /// Between two parts of an answer, if it must say something.
    pub silence: Option<Duration>,
}

/// The way to all gateways. Cheap to clone.
#[derive(Clone)]
pub struct Gateways {
    reach: Reach,
    patience: Patience,
    database: Database,
    /// For plain HTTP; a client for TLS knows one certificate, so each gateway has its own.
    plain: Client,
}

/// One gateway that may be called.
pub struct Gateway {
    /// Its base address, without `/mcp`.
    base: String,
    client: Client,
}

/// Why a gateway is not called.
#[derive(Debug, thiserror::Error)]
pub enum Unreachable {
    #[error("the toolbox's gateway has an address that may not be called")]
    Address,
    #[error("the toolbox's gateway speaks TLS, but no certificate came with its enrolment")]
    Certificate,
    #[error("the toolbox's certificate could not be looked up")]
    Database(#[from] database::Error),
    #[error("no connection to the gateway could be prepared")]
    Client(#[from] reqwest::Error),
}

impl Gateways {
    /// For the embedded default: the loopback of this machine only.
    pub fn local(database: Database, patience: Patience) -> Self {
        Self::new(database, patience, Reach::Loopback)
    }

    /// For hosted functions: public addresses only, over TLS.
    pub fn hosted(database: Database, patience: Patience) -> Self {
        Self::new(database, patience, Reach::Public)
    }

    fn new(database: Database, patience: Patience, reach: Reach) -> Self {
        let plain = builder(reach, patience).build().expect("a client without files or special settings");
        Self { reach, patience, database, plain }
    }

    /// The gateway of `toolbox` at `address` (its base address, with or without `/mcp`). One round trip to the database when it
    /// speaks TLS, none otherwise.
    pub async fn open(&self, toolbox: ToolboxId, address: &str) -> Result<Gateway, Unreachable> {
        let (base, secure) = self.reach.base(address).ok_or(Unreachable::Address)?;
        if !secure {
            return Ok(Gateway { base, client: self.plain.clone() });
        }
        let known = self.database.toolbox_key(&Caller::service(), toolbox).await?;
        let pin = known.certificate.as_deref().and_then(Pin::parse).ok_or(Unreachable::Certificate)?;
        let client = builder(self.reach, self.patience).tls_backend_preconfigured(pin.config(toolbox)).build()?;
        Ok(Gateway { base, client })
    }
}

impl Gateway {
    /// The address of `path`, which begins with a slash, at this gateway.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }

    pub fn client(&self) -> &Client {
        &self.client
    }
}

impl Reach {
    fn permits(self, address: IpAddr) -> bool {
        match self {
            Self::Loopback => address.to_canonical().is_loopback(),
            Self::Public => domain::address::is_public(address),
        }
    }

    /// The base of an address that may be called, and whether it is TLS. A literal address never passes the resolver, so it is
    /// checked here.
    fn base(self, address: &str) -> Option<(String, bool)> {
        let url = Url::parse(address).ok()?;
        let secure = match (url.scheme(), self) {
            ("https", _) => true,
            ("http", Self::Loopback) => false,
            _ => return None,
        };
        let literal = url.host_str()?.trim_matches(['[', ']']).parse::<IpAddr>().ok();
        let bare = url.query().is_none() && url.fragment().is_none() && url.username().is_empty();
        if !bare || url.password().is_some() || literal.is_some_and(|address| !self.permits(address)) {
            return None;
        }
        let base = url.as_str().trim_end_matches('/').trim_end_matches("/mcp");
        Some((base.to_owned(), secure))
    }
}

fn builder(reach: Reach, patience: Patience) -> ClientBuilder {
    let mut builder = Client::builder()
        .connect_timeout(patience.connect)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .http1_only()
        .dns_resolver(Arc::new(Checked(reach)));
    if let Some(whole) = patience.whole {
        builder = builder.timeout(whole);
    }
    if let Some(silence) = patience.silence {
        builder = builder.read_timeout(silence);
    }
    builder
}

/// Resolves a name and keeps only what may be called.
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
