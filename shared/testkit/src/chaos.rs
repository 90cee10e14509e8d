//! A TCP proxy that breaks and mends the connection to a service.

use std::{
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::watch,
    task::JoinHandle,
};

/// Listens on a port of its own and forwards to a service until it is told to break.
pub struct Proxy {
    address: SocketAddr,
    broken: watch::Sender<bool>,
    silent: Arc<AtomicBool>,
    accepting: JoinHandle<()>,
}

impl Proxy {
    pub async fn start(service: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (broken, state) = watch::channel(false);
        let silent = Arc::new(AtomicBool::new(false));
        let quiet = Arc::clone(&silent);
        let accepting = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(forward(client, service, state.clone(), Arc::clone(&quiet)));
            }
        });
        Ok(Self { address, broken, silent, accepting })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends every connection and closes new ones at once.
    pub fn break_connections(&self) {
        self.broken.send_replace(true);
    }

    /// Ends every connection and keeps new ones open without ever answering: what a lost network looks like.
    pub fn go_silent(&self) {
        self.silent.store(true, Ordering::SeqCst);
        self.broken.send_replace(true);
    }

    pub fn mend(&self) {
        self.silent.store(false, Ordering::SeqCst);
        self.broken.send_replace(false);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn forward(
    mut client: TcpStream,
    service: SocketAddr,
    mut broken: watch::Receiver<bool>,
    silent: Arc<AtomicBool>,
) {
    if *broken.borrow_and_update() {
        if silent.load(Ordering::SeqCst) {
            // Held until mended; whoever waits runs into its own time limit.
            let _mended_or_gone = broken.wait_for(|broken| !broken).await;
        }
        return;
    }
    let Ok(mut upstream) = TcpStream::connect(service).await else { return };
    tokio::select! {
        // Cancel-safe: both streams are dropped, which is what breaking means.
        _ = copy_bidirectional(&mut client, &mut upstream) => {}
        // Cancel-safe: a watch keeps its last value.
        _ = broken.wait_for(|broken| *broken) => {}
    }
}
