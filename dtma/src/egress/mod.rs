//! Which server may reach what. A server without hosts has no network at all. One with hosts has a network of its own that leads
//! nowhere but to this machine, where dtma is everything that it finds:
//!
//! * a resolver, which answers for the names on its list only, each with an address of that network that stands for the name;
//! * a gate, to which the firewall turns every TCP connection to such an address, on any port. The gate knows by the address
//!   which name is meant, looks at name and port again, resolves the name itself, refuses what is not out in the world, and
//!   passes bytes on. It does not look into them, so any protocol over TCP works: HTTP, TLS, Postgres, MongoDB.
//!
//! The server need not know of any of this. UDP other than to the resolver goes nowhere. What is refused is told to a
//! [`refusal::Sink`], so that a person can allow it.
//!
//! All of this needs the firewall's rules, so without them a server with hosts is not started. Where dtma may not set them and
//! its owner allows it nevertheless ([`Settings::unguarded`]), a forward proxy takes the gate's place: weaker, because the
//! server must honour the proxy variables and reaches whatever listens on the machine.
//!
//! IPv4 only inside: a network has no other addresses. The gate itself reaches hosts of both kinds.
//! Names are allowed, not contents: a name that leads to the same address as another (a content network) can be used to reach it.

mod dns;
mod firewall;
mod forward;
mod gate;
mod names;
pub mod refusal;
mod rules;
mod tool;
mod way;

pub use firewall::{Firewall, Guard};
pub use rules::{BadHost, Rules};
pub use way::{Resolve, World};

use crate::docker::{self, Bridge};
use protocol::ids::ServerId;
use std::{
    collections::HashMap,
    io,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{
    net::{TcpListener, UdpSocket},
    task::JoinSet,
};
use way::Way;

/// Where the gate listens on each server's network: fixed, because a container keeps what it was started with when the daemon
/// is replaced, and the firewall's rules are the same for all.
pub const PORT: u16 = 3129;
/// Where the resolver listens; the firewall turns port 53 there. A port of its own, so that a resolver of the machine's that
/// listens everywhere is neither in the way nor reached.
pub const DNS_PORT: u16 = 3153;

/// Docker's resolver would ask the machine's name servers for a container without a way out, and so be one. It asks this one
/// instead, which is the container itself; the forward proxy resolves names.
const NO_DNS: Ipv4Addr = Ipv4Addr::LOCALHOST;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the way out could not be opened at {address}")]
    Listen { address: SocketAddr, source: io::Error },
    #[error("{0}; or allow it to run without them (--allow-unguarded)")]
    Unguarded(String),
    #[error("the addresses that stand for names could not be set up ({0})")]
    Route(String),
}

#[derive(Clone)]
pub struct Settings {
    /// Told of each refusal, from any task: it must not block.
    pub refused: refusal::Sink,
    /// Start servers with hosts although the firewall's rules cannot be set.
    pub unguarded: bool,
    pub world: World,
}

impl Default for Settings {
    fn default() -> Self {
        Self { refused: refusal::trace(), unguarded: false, world: World::default() }
    }
}

/// What a container needs to be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub dns: Ipv4Addr,
    /// Only where there are no rules.
    pub proxy: Option<SocketAddr>,
}

/// The ways out, one for each server that may reach hosts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Egress {
    settings: Arc<Settings>,
    open: Arc<Mutex<HashMap<ServerId, JoinSet<()>>>>,
}

impl Egress {
    pub fn new(settings: Settings) -> Self {
        Self { settings: Arc::new(settings), open: Arc::default() }
    }

    /// What lies outside of the machine.
    pub fn world(&self) -> &World {
        &self.settings.world
    }

    /// Opens the way out for a server, instead of the one that it had. Connections that were open end.
    pub async fn serve(&self, server: ServerId, bridge: &Bridge, rules: Rules) -> Result<Opened, Error> {
        self.end(server);
        let Settings { refused, unguarded, world } = (*self.settings).clone();
        let subnet = bridge.subnet;
        let way = Arc::new(Way::new(server, subnet, rules, world, refused));
        let gateway = subnet.gateway();
        // Again for each server: another program may have replaced them meanwhile.
        let opened = match Firewall::keep().await {
            Guard::Kept => Opened { dns: gateway, proxy: None },
            Guard::Missing(why) if !unguarded => return Err(Error::Unguarded(why)),
            Guard::Missing(_) => Opened { dns: NO_DNS, proxy: Some((gateway, PORT).into()) },
        };
        let mut tasks = JoinSet::new();
        let gate = listen((gateway, PORT).into(), TcpListener::bind).await?;
        if opened.proxy.is_some() {
            tasks.spawn(gate::accept(gate, way, forward::serve));
        } else {
            // The kernel then answers for the whole upper half.
            let route = ["route", "replace", "local", &subnet.upper(), "dev", &bridge.interface];
            tool::run("ip", &route, "").await.map_err(Error::Route)?;
            let dns = SocketAddr::from((gateway, DNS_PORT));
            let (datagrams, streams) = (listen(dns, UdpSocket::bind).await?, listen(dns, TcpListener::bind).await?);
            let pace = Arc::new(dns::Pace::new(Instant::now()));
            tasks.spawn(gate::accept(gate, way.clone(), gate::serve));
            tasks.spawn(dns::streams(streams, way.clone(), pace.clone()));
            tasks.spawn(dns::datagrams(datagrams, way, pace));
        }
        self.lock().insert(server, tasks);
        Ok(opened)
    }

    pub fn end(&self, server: ServerId) {
        // Dropped, its tasks are ended.
        self.lock().remove(&server);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, JoinSet<()>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listener before this one closes when its task is next polled; that is soon, not at once.
async fn listen<T, F: Future<Output = io::Result<T>>>(
    address: SocketAddr,
    bind: impl Fn(SocketAddr) -> F,
) -> Result<T, Error> {
    let mut tries = 0;
    loop {
        match bind(address).await {
            Err(source) if tries == 20 => return Err(Error::Listen { address, source }),
            Err(_) => tries += 1,
            Ok(listener) => return Ok(listener),
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// What tells programs in the container of the machine's certificates, and of the forward proxy where there is one.
pub fn variables(opened: Opened, ca: bool) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    if let Some(proxy) = opened.proxy {
        let url = format!("http://{proxy}");
        for key in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            all.push((key.into(), url.clone()));
            all.push((key.to_lowercase(), url.clone()));
        }
        for key in ["NO_PROXY", "no_proxy"] {
            all.push((key.into(), "localhost,127.0.0.1,::1".into()));
        }
        // Node 22.21 and later then use the variables above.
        all.push(("NODE_USE_ENV_PROXY".into(), "1".into()));
    }
    if ca {
        for key in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"] {
            all.push((key.into(), docker::CA.into()));
        }
    }
    all
}
