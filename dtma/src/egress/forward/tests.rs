use super::*;
use crate::{
    docker::Subnet,
    egress::{Rules, World, refusal},
};
use domain::address::is_public;
use protocol::ids::ServerId;
use std::net::IpAddr;
use tokio::net::TcpListener;

async fn proxy(hosts: &[&str], reachable: fn(IpAddr) -> bool) -> std::net::SocketAddr {
    let hosts: Vec<String> = hosts.iter().map(|h| (*h).to_owned()).collect();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let subnet = Subnet::of([198, 18, 0, 1].into()).unwrap();
    let rules = Rules::of(&hosts).unwrap().unwrap();
    let world = World { reachable, ..World::default() };
    let way = Arc::new(Way::new(ServerId::new(), subnet, rules, world, refusal::trace()));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(serve(client, way.clone()));
        }
    });
    address
}

/// A host that answers every connection with what it was sent first.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut bytes = vec![0; 4096];
            let n = stream.read(&mut bytes).await.unwrap();
            stream.write_all(&bytes[..n]).await.unwrap();
        }
    });
    port
}

async fn ask(proxy: std::net::SocketAddr, parts: &[&str]) -> String {
    let mut stream = TcpStream::connect(proxy).await.unwrap();
    let mut answer = vec![0; 4096];
    let mut got = String::new();
    for part in parts {
        stream.write_all(part.as_bytes()).await.unwrap();
        let n = timeout(Duration::from_secs(5), stream.read(&mut answer)).await.unwrap().unwrap();
        got.push_str(&String::from_utf8_lossy(&answer[..n]));
    }
    got
}

#[tokio::test]
async fn a_listed_host_is_reached_through_a_tunnel() {
    let port = echo().await;
    let proxy = proxy(&[&format!("localhost:{port}")], |_| true).await;
    let answer = ask(proxy, &[&format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n"), "hello"]).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.ends_with("hello"), "{answer}");
}

#[tokio::test]
async fn plain_http_is_sent_on_with_the_host_that_was_allowed() {
    let port = echo().await;
    let proxy = proxy(&[&format!("localhost:{port}")], |_| true).await;
    let request =
        format!("GET http://localhost:{port}/a HTTP/1.1\r\nHost: evil\r\nAccept: x\r\nProxy-Authorization: y\r\n\r\n");
    let answer = ask(proxy, &[&request]).await;
    assert_eq!(answer, format!("GET /a HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\nAccept: x\r\n\r\n"));
}

#[tokio::test]
async fn what_is_not_listed_is_refused_with_a_reason() {
    let port = echo().await;
    let proxy = proxy(&["example.com:443"], |_| true).await;
    for request in [
        format!("CONNECT localhost:{port} HTTP/1.1\r\n\r\n"),
        format!("GET http://localhost:{port}/ HTTP/1.1\r\n\r\n"),
        "CONNECT example.com:80 HTTP/1.1\r\n\r\n".into(),
    ] {
        let answer = ask(proxy, &[&request]).await;
        assert!(answer.starts_with("HTTP/1.1 403") && answer.contains("not among those"), "{answer}");
    }
}

#[tokio::test]
async fn a_name_that_leads_back_to_this_machine_is_refused_when_it_is_dialled() {
    let port = echo().await;
    let proxy = proxy(&["*"], is_public).await;
    for host in ["localhost", "127.0.0.1", "0.0.0.0", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001"] {
        let answer = ask(proxy, &[&format!("CONNECT {host}:{port} HTTP/1.1\r\n\r\n")]).await;
        assert!(answer.starts_with("HTTP/1.1 403") || answer.starts_with("HTTP/1.1 502"), "{host}: {answer}");
    }
}

#[tokio::test]
async fn what_is_no_request_is_refused() {
    let proxy = proxy(&["*"], |_| true).await;
    for request in [
        "\r\n\r\n",
        "GET / HTTP/1.1\r\n\r\n",
        "CONNECT x HTTP/1.1\r\n\r\n",
        "CONNECT a:1 b HTTP/1.1\r\n\r\n",
        "GET https://a/ HTTP/1.1\r\n\r\n",
    ] {
        assert!(ask(proxy, &[request]).await.starts_with("HTTP/1.1 400"), "{request}");
    }
}
