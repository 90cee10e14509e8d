//! Where every TCP connection of one server arrives, whatever its protocol: the firewall turns it here, and its first address
//! says which name it was meant for. What is refused is reset at once.

use super::way::Way;
use std::{
    io,
    net::{IpAddr, SocketAddr, SocketAddrV4},
    sync::Arc,
    time::Duration,
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::JoinSet,
};

const CONNECTIONS: usize = 128;

/// `serve` is given what comes from the server's container, and nobody else's.
pub(super) async fn accept<F>(listener: TcpListener, way: Arc<Way>, serve: impl Fn(TcpStream, Arc<Way>) -> F)
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    // Ends with this task: a server that may go out no longer keeps no connection.
    let mut open = JoinSet::new();
    loop {
        while open.try_join_next().is_some() {}
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        let Ok((client, from)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if !matches!(from.ip(), IpAddr::V4(from) if way.subnet.is_container(from)) {
            continue;
        }
        let serving = serve(client, way.clone());
        open.spawn(async move {
            let _permit = permit;
            if let Err(error) = serving.await {
                tracing::debug!(%error, "a way out ended");
            }
        });
    }
}

/// A connection that the firewall turned here.
pub(super) async fn serve(client: TcpStream, way: Arc<Way>) -> io::Result<()> {
    let to = rustix::net::sockopt::ip_original_dst(&client)?;
    pass(client, &way, to).await
}

async fn pass(mut client: TcpStream, way: &Way, to: SocketAddrV4) -> io::Result<()> {
    // One that was not turned looks at what listens here.
    let turned = client.local_addr()? != SocketAddr::V4(to);
    let meant = if turned { way.meant(to).ok() } else { None };
    let host = match &meant {
        Some((name, port)) => way.dial(name, *port).await,
        None => Ok(None),
    };
    let Ok(Some(mut host)) = host else {
        // Seen as "connection reset", and not as an end of what the host had to say.
        return client.set_zero_linger();
    };
    client.set_nodelay(true)?;
    copy_bidirectional(&mut client, &mut host).await?;
    Ok(())
}
