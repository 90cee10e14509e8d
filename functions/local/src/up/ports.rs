//! The two ports of an installation.

use crate::{home::Config, trouble::Trouble};
use std::{io::ErrorKind, net::Ipv4Addr};
use tokio::net::TcpListener;

/// Listens where the console is to be.
pub(super) async fn listen(port: u16) -> Result<TcpListener, Trouble> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => Trouble::new(
            format!("Port {port} is taken by another program."),
            format!("Choose another one: agentopia up --port {}", other(port)),
        ),
        ErrorKind::PermissionDenied => {
            Trouble::new(format!("Port {port} needs root."), "Choose one above 1023: agentopia up --port 8787")
        }
        _ => Trouble::new(format!("Port {port} cannot be listened on."), "Choose another one with --port.")
            .because(error.to_string()),
    })
}

fn other(port: u16) -> u16 {
    (1..200).map(|more| port.saturating_add(more)).find(|port| free(*port)).unwrap_or(8788)
}

/// The gateway's: what it was before if that is free, else the first free one from a thousand above the console's.
pub(super) fn gateway(config: &Config) -> Result<u16, Trouble> {
    let first = config.port.checked_add(1000).unwrap_or(config.port - 1000);
    let candidates = config.gateway_port.into_iter().chain((0..200).filter_map(|more| first.checked_add(more)));
    candidates.into_iter().find(|port| *port != config.port && free(*port)).ok_or_else(|| {
        Trouble::new(
            format!("No port from {first} on is free for the gateway."),
            "Choose another port for the console; the gateway's is a thousand above it.",
        )
    })
}

fn free(port: u16) -> bool {
    std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_taken_port_is_said_with_one_that_is_free() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = taken.local_addr().unwrap().port();
        let trouble = listen(port).await.unwrap_err();
        assert!(trouble.to_string().contains(&port.to_string()));
        let next: u16 = trouble.next().rsplit(' ').next().unwrap().parse().unwrap();
        assert!(listen(next).await.is_ok());
    }

    #[test]
    fn the_gateway_keeps_its_port_while_it_is_free() {
        let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let config = |gateway_port| Config { port: 8787, gateway_port, toolbox_id: None };
        let other = gateway(&config(Some(port))).unwrap();
        assert_ne!(other, port);
        drop(taken);
        assert_eq!(gateway(&config(Some(port))).unwrap(), port);
        assert!(gateway(&Config { port: 65_000, gateway_port: None, toolbox_id: None }).is_ok());
    }
}
