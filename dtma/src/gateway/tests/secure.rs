//! Over TLS.

use super::*;
use crate::ledger::Certificate;
use std::net::SocketAddr;
use tokio::net::TcpListener;

const NAME: &str = "box.example";

/// A gateway that is called `box.example`, and its certificate.
async fn listen() -> (Stage, SocketAddr, Certificate) {
    let stage = Stage::with(Settings { hosts: vec![NAME.into()], ..Settings::default() }).await;
    let certificate = Certificate::generate(vec![NAME.into()]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let front = Front::secure(listener, &certificate).unwrap();
    tokio::spawn(serve(front, stage.endpoint.clone(), std::future::pending(), Duration::ZERO));
    (stage, address, certificate)
}

/// Somebody's client that was given the certificate, and goes by the name.
fn client(address: SocketAddr, certificate: &Certificate) -> reqwest::Client {
    let trusted = reqwest::Certificate::from_der(&certificate.der()).unwrap();
    let builder = reqwest::Client::builder().no_proxy().resolve(NAME, address).resolve("evil.example", address);
    builder.tls_certs_only([trusted]).build().unwrap()
}

#[tokio::test]
async fn calls_go_over_tls_with_the_certificate_and_not_without() {
    let (stage, address, certificate) = listen().await;
    let (http, token) = (client(address, &certificate), stage.full());
    for base in [format!("https://{NAME}:{}", address.port()), format!("https://{address}")] {
        let mcp = mcp::client::Client::new(http.clone(), format!("{base}/mcp"), token.clone());
        assert_eq!(mcp.call("alpha__echo", &json!({"text": "hello"})).await.unwrap().text(), "alpha:hello");
    }
    let plain = reqwest::Client::builder().no_proxy().build().unwrap();
    assert!(plain.get(format!("http://{address}/healthz")).send().await.is_err(), "plain HTTP is not spoken there");
    let another = Certificate::generate(vec![NAME.into()]).unwrap();
    assert!(client(address, &another).get(format!("https://{address}/healthz")).send().await.is_err());
}

#[tokio::test]
async fn foreign_hosts_and_origins_are_refused_over_tls_too() {
    let (stage, address, certificate) = listen().await;
    let (http, token) = (client(address, &certificate), stage.full());
    let url = format!("https://{NAME}:{}/mcp", address.port());
    let ask = async |host: Option<&str>, origin: Option<&str>| {
        let body = json!({"jsonrpc": "2.0", "id": 1, "method": "initialize", "params": {
            "protocolVersion": "2025-06-18", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}}});
        let mut request = http.post(&url).bearer_auth(&token).json(&body);
        request = request.header("accept", "application/json, text/event-stream");
        if let Some(host) = host {
            request = request.header("host", host);
        }
        if let Some(origin) = origin {
            request = request.header("origin", origin);
        }
        request.send().await.unwrap().status()
    };
    assert_eq!(ask(None, None).await, StatusCode::OK);
    assert_eq!(ask(Some("localhost:1"), Some("https://box.example")).await, StatusCode::OK);
    assert_eq!(ask(Some("evil.example"), None).await, StatusCode::FORBIDDEN);
    assert_eq!(ask(None, Some("https://evil.example")).await, StatusCode::FORBIDDEN);
}

#[tokio::test]
async fn plain_http_is_refused_where_others_could_call() {
    let here = TcpListener::bind("127.0.0.1:0").await.unwrap();
    assert!(Front::plain(here).is_ok());
    let everywhere = TcpListener::bind("0.0.0.0:0").await.unwrap();
    assert!(matches!(Front::plain(everywhere), Err(FrontError::Exposed(_))));
}
