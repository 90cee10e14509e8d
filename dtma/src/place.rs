//! Where the gateway listens, and by which address it is called. On the loopback it speaks plain HTTP; anywhere else TLS only,
//! and it must know its name there, because a request that names another host is refused.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use url::Host;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    listen: SocketAddr,
    host: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("'{0}' is not an address to listen at; write e.g. 127.0.0.1:8788")]
    Listen(String),
    #[error("'{0}' is not a host; give a name or an address alone, e.g. --host box.example.org")]
    Host(String),
    #[error(
        "the gateway is to listen at every address of this machine ({0}), but requests must say which one they mean; name the \
         one by which it is called, e.g. --host box.example.org"
    )]
    Nameless(SocketAddr),
}

impl Place {
    /// `host` is the name or address by which the gateway is called from elsewhere.
    pub fn new(listen: SocketAddr, host: Option<&str>) -> Result<Self, Error> {
        let host = host.map(read).transpose()?;
        if listen.ip().to_canonical().is_unspecified() && host.is_none() {
            return Err(Error::Nameless(listen));
        }
        Ok(Self { listen, host })
    }

    pub fn parse(listen: &str, host: Option<&str>) -> Result<Self, Error> {
        Self::new(listen.parse().map_err(|_| Error::Listen(listen.into()))?, host)
    }

    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    pub fn host(&self) -> Option<&str> {
        self.host.as_deref()
    }

    /// Others than this machine's own programs may come here, so it must be TLS.
    pub fn is_exposed(&self) -> bool {
        !is_loopback(self.listen.ip())
    }

    /// Where MCP clients call it.
    pub fn url(&self) -> String {
        match (&self.host, self.is_exposed()) {
            (_, false) => format!("http://{}/mcp", self.listen),
            (None, true) => format!("https://{}/mcp", self.listen),
            (Some(host), true) => match host.parse::<IpAddr>() {
                Ok(address) => format!("https://{}/mcp", SocketAddr::new(address, self.listen.port())),
                Err(_) => format!("https://{host}:{}/mcp", self.listen.port()),
            },
        }
    }

    /// Besides the names of the loopback: what a request may name as its host, and what the certificate names.
    pub fn hosts(&self) -> Vec<String> {
        let address = self.listen.ip();
        let own = (self.is_exposed() && !address.to_canonical().is_unspecified()).then(|| address.to_string());
        self.host.iter().cloned().chain(own).collect()
    }
}

fn read(host: &str) -> Result<String, Error> {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = bare.parse::<IpAddr>() {
        return Ok(address.to_string());
    }
    match Host::parse(host) {
        Ok(Host::Domain(name)) if !name.is_empty() => Ok(name.trim_end_matches('.').to_owned()),
        _ => Err(Error::Host(host.into())),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}
