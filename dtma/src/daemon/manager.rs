//! What the service manager is told (systemd's `sd_notify`): that the daemon is ready, that it ends, and, for as long as
//! every loop moves, that it is well. Without a service manager nothing is told, and a loop that stands still is logged.

use crate::watch::Watch;
use std::{
    env,
    ffi::OsStr,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    time::Duration,
};

/// Where no manager says how often it wants to hear.
const UNASKED: Duration = Duration::from_secs(30);

pub(super) fn tell(state: &str) {
    let Some(socket) = env::var_os("NOTIFY_SOCKET") else { return };
    if let Err(error) = send(&socket, state) {
        tracing::warn!(%error, state, "the service manager could not be told");
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let address = match socket.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(socket)?,
    };
    UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// How often it is fed: three times in the time after which it would end the daemon.
fn interval(microseconds: Option<&str>) -> Duration {
    let asked = microseconds.and_then(|text| text.parse().ok()).filter(|n| *n > 0).map(Duration::from_micros);
    asked.map_or(UNASKED, |whole| whole / 3)
}

/// Until the daemon ends.
pub(super) async fn feed(watch: Watch) {
    let every = interval(env::var("WATCHDOG_USEC").ok().as_deref());
    let mut clock = tokio::time::interval(every);
    loop {
        clock.tick().await;
        match watch.still() {
            None => tell("WATCHDOG=1"),
            Some(name) => {
                tracing::error!(name, "a loop stands still; the service manager is not told that all is well")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_fed_often_enough_for_what_the_manager_asks() {
        assert_eq!(interval(Some("90000000")), Duration::from_secs(30));
        assert_eq!(interval(Some("3000000")), Duration::from_secs(1));
        for unusable in [None, Some(""), Some("0"), Some("soon")] {
            assert_eq!(interval(unusable), UNASKED);
        }
    }

    #[test]
    fn both_kinds_of_sockets_are_spoken_to() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        send(path.as_os_str(), "READY=1").unwrap();
        let name = format!("agentopia-test-{}", std::process::id());
        let hidden = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        send(OsStr::new(&format!("@{name}")), "WATCHDOG=1").unwrap();
        for (socket, told) in [(listener, "READY=1"), (hidden, "WATCHDOG=1")] {
            let mut buffer = [0; 64];
            let length = socket.recv(&mut buffer).unwrap();
            assert_eq!(&buffer[..length], told.as_bytes());
        }
    }
}
