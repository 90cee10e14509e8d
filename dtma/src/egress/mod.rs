//! Which server may reach what. A server without hosts has no network at all. One with hosts has a network of its own that
//! leads nowhere but to this machine's address on it, where a forward proxy lets through the hosts of its list.
//!
//! Weaker than it should become: the server has to honour the proxy variables (Node 22 and Python's usual libraries do);
//! one that does not is not let out, which is safe and looks like a broken network. What passes is a tunnel, so the proxy
//! sees the name that the server asked for and not what is said inside.

mod address;
mod firewall;
mod proxy;
mod rules;

pub use firewall::{Firewall, Guard};
pub use rules::{BadHost, Rules};

use crate::docker;
use protocol::ids::ServerId;
use std::{
    collections::HashMap,
    io,
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex, PoisonError},
};
use tokio::task::AbortHandle;

/// Where the proxy listens on each server's network: fixed, because a container keeps what it was started with when the daemon
/// is replaced.
pub const PORT: u16 = 3129;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the way out could not be opened at {address}")]
    Listen { address: SocketAddr, source: io::Error },
}

/// The proxies, one for each server that may reach hosts. Cheap to clone.
#[derive(Clone, Default)]
pub struct Egress {
    open: Arc<Mutex<HashMap<ServerId, (SocketAddr, AbortHandle)>>>,
}

impl Egress {
    /// Opens the way out for a server, instead of the one that it had.
    pub async fn serve(&self, server: ServerId, gateway: IpAddr, rules: Rules) -> Result<SocketAddr, Error> {
        let address = SocketAddr::new(gateway, PORT);
        self.end(server);
        let listener = listen(address).await.map_err(|source| Error::Listen { address, source })?;
        let task = tokio::spawn(proxy::run(listener, rules, address::is_public));
        self.lock().insert(server, (address, task.abort_handle()));
        Ok(address)
    }

    pub fn end(&self, server: ServerId) {
        if let Some((_, task)) = self.lock().remove(&server) {
            task.abort();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<ServerId, (SocketAddr, AbortHandle)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listener before this one closes when its task is next polled; that is soon, not at once.
async fn listen(address: SocketAddr) -> io::Result<tokio::net::TcpListener> {
    let mut tries = 0;
    loop {
        match tokio::net::TcpListener::bind(address).await {
            Err(error) if tries == 20 => return Err(error),
            Err(_) => tries += 1,
            Ok(listener) => return Ok(listener),
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

/// What tells programs in the container of the way out, and of the machine's certificates.
pub fn variables(proxy: SocketAddr, ca: bool) -> Vec<(String, String)> {
    let url = format!("http://{proxy}");
    let mut all: Vec<(String, String)> = Vec::new();
    for key in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        all.push((key.into(), url.clone()));
        all.push((key.to_lowercase(), url.clone()));
    }
    for key in ["NO_PROXY", "no_proxy"] {
        all.push((key.into(), "localhost,127.0.0.1,::1".into()));
    }
    // Node 22.21 and later then use the variables above.
    all.push(("NODE_USE_ENV_PROXY".into(), "1".into()));
    if ca {
        for key in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "PIP_CERT"] {
            all.push((key.into(), docker::CA.into()));
        }
    }
    all
}
