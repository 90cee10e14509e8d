//! One server's way out: which names it may reach, and the connection to one of them.

use super::{
    Rules,
    names::Names,
    refusal::{Refusal, Reporter, Sink, Why},
};
use crate::docker::Subnet;
use domain::address;
use futures::{FutureExt, future::BoxFuture};
use protocol::ids::ServerId;
use std::{
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV4},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::{net::TcpStream, time::timeout};

const DIAL_TIME: Duration = Duration::from_secs(10);
/// Addresses of one name that are tried.
const ADDRESSES: usize = 4;

pub type Resolve = Arc<dyn Fn(String, u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> + Send + Sync>;

/// What lies outside of the machine. Another one than the default is for tests, whose hosts are on this machine.
#[derive(Clone)]
pub struct World {
    pub resolve: Resolve,
    pub reachable: fn(IpAddr) -> bool,
}

impl Default for World {
    /// The machine's own resolver, and public addresses only.
    fn default() -> Self {
        let resolve: Resolve = Arc::new(|name, port| {
            async move { Ok(tokio::net::lookup_host((name.as_str(), port)).await?.collect()) }.boxed()
        });
        Self { resolve, reachable: address::is_public }
    }
}

pub(super) struct Way {
    server: ServerId,
    pub(super) subnet: Subnet,
    rules: Rules,
    names: Mutex<Names>,
    world: World,
    reporter: Reporter,
}

impl Way {
    pub(super) fn new(server: ServerId, subnet: Subnet, rules: Rules, world: World, sink: Sink) -> Self {
        let names = Mutex::new(Names::new(subnet, rules.listed().into_iter()));
        Self { server, subnet, rules, names, world, reporter: Reporter::new(sink) }
    }

    /// Whether the name may be asked for: one port of it is allowed at least.
    pub(super) fn knows(&self, name: &str) -> bool {
        let knows = self.rules.knows(name);
        if !knows {
            self.refuse(name, None, Why::Name);
        }
        knows
    }

    /// The address that stands for an allowed name; `None` when there are too many names at once.
    pub(super) fn give(&self, name: &str) -> Option<Ipv4Addr> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner).give(name, Instant::now())
    }

    /// What a connection to `to` means, when it is allowed.
    pub(super) fn meant(&self, to: SocketAddrV4) -> Result<(String, u16), Why> {
        let name = self.names.lock().unwrap_or_else(PoisonError::into_inner).name(*to.ip(), Instant::now());
        let Some(name) = name else {
            return Err(self.refuse(&to.ip().to_string(), Some(to.port()), Why::Nameless));
        };
        self.allow(&name, to.port())?;
        Ok((name, to.port()))
    }

    pub(super) fn allow(&self, name: &str, port: u16) -> Result<(), Why> {
        if self.rules.allows(name, port) {
            return Ok(());
        }
        let why = if self.rules.knows(name) { Why::Port } else { Why::Name };
        Err(self.refuse(name, Some(port), why))
    }

    /// `None` when the name has no public address. It is resolved here, once, and what that gave is what is connected to, so
    /// that no second answer can lead elsewhere.
    pub(super) async fn dial(&self, name: &str, port: u16) -> io::Result<Option<TcpStream>> {
        timeout(DIAL_TIME, async {
            let found = (self.world.resolve)(name.to_owned(), port).await?;
            let mut last = None;
            for address in found.into_iter().filter(|address| (self.world.reachable)(address.ip())).take(ADDRESSES) {
                match TcpStream::connect(address).await {
                    Ok(stream) => {
                        stream.set_nodelay(true)?;
                        return Ok(Some(stream));
                    }
                    Err(error) => last = Some(error),
                }
            }
            match last {
                Some(error) => Err(error),
                None => {
                    self.refuse(name, Some(port), Why::Address);
                    Ok(None)
                }
            }
        })
        .await?
    }

    fn refuse(&self, host: &str, port: Option<u16>, why: Why) -> Why {
        // As long as a name can be.
        let host: String = host.chars().take(253).collect();
        self.reporter.tell(Refusal { server: self.server, host, port, why }, Instant::now());
        why
    }
}
