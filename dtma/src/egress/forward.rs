//! For a machine on which dtma may not set firewall rules, when its owner allows that: a forward proxy for one server, which has
//! to honour the proxy variables. `CONNECT`, and plain HTTP by its absolute address. What is not allowed is answered with 403 and
//! a reason, so that the server's log says why.

use super::{refusal::Why, way::Way};
use std::{io, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::TcpStream,
    time::timeout,
};

const HEAD_LIMIT: usize = 16 * 1024;
const HEAD_TIME: Duration = Duration::from_secs(10);

/// What the first line asks for.
struct Asked {
    host: String,
    port: u16,
    /// To be sent on first; empty for a tunnel.
    head: Vec<u8>,
    tunnel: bool,
}

pub(super) async fn serve(mut client: TcpStream, way: Arc<Way>) -> io::Result<()> {
    client.set_nodelay(true)?;
    let Some((head, rest)) = timeout(HEAD_TIME, read_head(&mut client)).await?? else {
        return refuse(&mut client, "400 Bad Request", "this is no request that a proxy takes").await;
    };
    let Some(asked) = parse(&head) else {
        return refuse(&mut client, "400 Bad Request", "this is no request that a proxy takes").await;
    };
    let Asked { host, port, head, tunnel } = asked;
    if let Err(why) = way.allow(&host, port) {
        return refuse(&mut client, "403 Forbidden", &format!("{host}:{port}: {why}")).await;
    }
    let mut upstream = match way.dial(&host, port).await {
        Ok(Some(upstream)) => upstream,
        Ok(None) => return refuse(&mut client, "403 Forbidden", &format!("{host}:{port}: {}", Why::Address)).await,
        Err(_) => return refuse(&mut client, "502 Bad Gateway", "the host does not answer").await,
    };
    if tunnel {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    }
    upstream.write_all(&head).await?;
    upstream.write_all(&rest).await?;
    copy_bidirectional(&mut client, &mut upstream).await?;
    Ok(())
}

/// The request's head and what came after it; `None` when it is too long or never ends.
async fn read_head(client: &mut TcpStream) -> io::Result<Option<(Vec<u8>, Vec<u8>)>> {
    let mut bytes = Vec::with_capacity(1024);
    while bytes.len() < HEAD_LIMIT {
        if client.read_buf(&mut bytes).await? == 0 {
            return Ok(None);
        }
        if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Ok(Some((bytes, rest)));
        }
    }
    Ok(None)
}

fn parse(head: &[u8]) -> Option<Asked> {
    let text = std::str::from_utf8(head).ok()?;
    let (line, fields) = text.split_once("\r\n")?;
    let mut words = line.split(' ');
    let (method, target, version) = (words.next()?, words.next()?, words.next()?);
    if words.next().is_some() || !version.starts_with("HTTP/1.") {
        return None;
    }
    if method == "CONNECT" {
        let (host, port) = target.rsplit_once(':')?;
        return Some(Asked { host: host.into(), port: port.parse().ok()?, head: vec![], tunnel: true });
    }
    let (authority, path) = match target.strip_prefix("http://")?.split_once('/') {
        Some((authority, path)) => (authority, path),
        None => (target.strip_prefix("http://")?, ""),
    };
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().ok()?),
        None => (authority, 80),
    };
    // One request a connection: a second one could name another host. The Host field is the one that was allowed.
    let kept = fields.split("\r\n").filter(|field| {
        let name = field.split(':').next().unwrap_or_default().to_ascii_lowercase();
        !field.is_empty()
            && !matches!(
                name.as_str(),
                "host" | "connection" | "proxy-connection" | "keep-alive" | "proxy-authorization"
            )
    });
    let mut head = format!("{method} /{path} {version}\r\nHost: {authority}\r\nConnection: close\r\n");
    for field in kept {
        head.push_str(field);
        head.push_str("\r\n");
    }
    head.push_str("\r\n");
    Some(Asked { host: host.into(), port, head: head.into_bytes(), tunnel: false })
}

async fn refuse(client: &mut TcpStream, status: &str, why: &str) -> io::Result<()> {
    let body = format!("agentopia: {why}\n");
    let answer = format!(
        "HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    client.write_all(answer.as_bytes()).await
}

#[cfg(test)]
mod tests;
