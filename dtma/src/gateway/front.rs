//! What clients connect to: plain HTTP on the loopback, TLS anywhere.

use crate::ledger::Certificate;
use rustls::{ServerConfig, crypto::aws_lc_rs, version::TLS13};
use std::{io, net::SocketAddr, sync::Arc};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

/// A listener, and what it speaks.
pub struct Front {
    pub(super) listener: TcpListener,
    pub(super) tls: Option<TlsAcceptor>,
}

#[derive(Debug, thiserror::Error)]
pub enum FrontError {
    #[error("plain HTTP is spoken on the loopback only, and {0} can be called from elsewhere")]
    Exposed(SocketAddr),
    #[error("the gateway's certificate cannot be used")]
    Certificate(#[from] rustls::Error),
    #[error("the listener has no address")]
    Listener(#[from] io::Error),
}

impl Front {
    /// Plain HTTP; refused for a listener that others than this machine's own programs can reach.
    pub fn plain(listener: TcpListener) -> Result<Self, FrontError> {
        let address = listener.local_addr()?;
        if !address.ip().to_canonical().is_loopback() {
            return Err(FrontError::Exposed(address));
        }
        Ok(Self { listener, tls: None })
    }

    /// TLS 1.3 with this certificate.
    pub fn secure(listener: TcpListener, certificate: &Certificate) -> Result<Self, FrontError> {
        let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_single_cert(vec![certificate.der()], certificate.key())?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Self { listener, tls: Some(TlsAcceptor::from(Arc::new(config))) })
    }
}
