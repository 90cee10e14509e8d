use super::{Checked, Gateways, Patience, Reach, Unreachable, builder, pinned::Pin};
use database::Caller;
use protocol::{ids::ToolboxId, toolbox::EnrolRequest};
use reqwest::dns::Resolve;
use ring::digest::{SHA256, digest};
use rustls::{
    ServerConfig,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer},
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
};
use std::{error::Error, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

const PATIENCE: Patience =
    Patience { connect: Duration::from_secs(2), whole: Some(Duration::from_secs(5)), silence: None };

#[test]
fn a_toolbox_chooses_its_address_only_within_reach() {
    for (reach, address, base) in [
        (Reach::Loopback, "http://127.0.0.1:8788", ("http://127.0.0.1:8788", false)),
        (Reach::Loopback, "http://127.0.0.1:8788/mcp", ("http://127.0.0.1:8788", false)),
        (Reach::Loopback, "http://[::1]:8788/mcp/", ("http://[::1]:8788", false)),
        (Reach::Loopback, "https://127.0.0.1:8788/mcp", ("https://127.0.0.1:8788", true)),
        (Reach::Public, "https://8.8.8.8/", ("https://8.8.8.8", true)),
        (Reach::Public, "https://box.example/behind/mcp", ("https://box.example/behind", true)),
    ] {
        assert_eq!(reach.base(address), Some((base.0.to_owned(), base.1)), "{address}");
    }
    for (reach, address) in [
        (Reach::Loopback, "http://10.0.0.1:1"),
        (Reach::Loopback, "http://169.254.169.254"),
        (Reach::Loopback, "https://8.8.8.8"),
        (Reach::Public, "http://8.8.8.8"),
        (Reach::Public, "https://127.0.0.1"),
        (Reach::Public, "https://2130706433"),
        (Reach::Public, "https://[::1]"),
        (Reach::Public, "https://[::ffff:10.0.0.1]/"),
        (Reach::Public, "https://169.254.169.254"),
        (Reach::Public, "https://user@8.8.8.8"),
        (Reach::Public, "https://8.8.8.8/?x=/mcp"),
        (Reach::Public, "https://8.8.8.8/#x"),
        (Reach::Public, "file:///etc/passwd"),
        (Reach::Public, "not an address"),
    ] {
        assert_eq!(reach.base(address), None, "{address}");
    }
}

#[tokio::test]
async fn a_name_leads_only_where_an_address_may() {
    let addresses =
        async |reach| Checked(reach).resolve("localhost".parse().expect("a name")).await.map(Iterator::count);
    assert!(addresses(Reach::Loopback).await.expect("the machine knows its own name") > 0);
    assert!(addresses(Reach::Public).await.is_err(), "the same name leads inside");
}

#[tokio::test]
async fn no_redirect_is_followed() {
    let aim = answers("HTTP/1.1 204 No Content\r\n\r\n").await;
    let redirect = answers(&format!("HTTP/1.1 307 Temporary Redirect\r\nlocation: {aim}\r\n\r\n")).await;
    let client = builder(Reach::Loopback, PATIENCE).build().expect("a client");
    assert_eq!(client.get(&aim).send().await.expect("answered").status(), 204);
    assert_eq!(client.get(redirect).send().await.expect("answered").status(), 307);
}

/// A key, and the certificate for it.
fn identity() -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let made = rcgen::generate_simple_self_signed(["box.example".to_owned()]).expect("a certificate");
    (made.cert.der().clone(), PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into()))
}

fn sha256(certificate: &CertificateDer<'_>) -> String {
    digest(&SHA256, certificate).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A gateway that shows this certificate and signs with this key, which need not be its own.
#[derive(Debug)]
struct Shows(Arc<CertifiedKey>);

impl ResolvesServerCert for Shows {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.clone())
    }
}

async fn gateway(certificate: CertificateDer<'static>, key: PrivateKeyDer<'static>) -> String {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let key = provider.key_provider.load_private_key(key).expect("a key");
    let shows = Shows(Arc::new(CertifiedKey::new(vec![certificate], key)));
    let config = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().expect("versions");
    let acceptor =
        tokio_rustls::TlsAcceptor::from(Arc::new(config.with_no_client_auth().with_cert_resolver(Arc::new(shows))));
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(mut stream) = acceptor.accept(stream).await {
                answer(&mut stream, "HTTP/1.1 204 No Content\r\n\r\n").await;
            }
        }
    });
    format!("https://{address}/")
}

async fn answers(text: &str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("bound");
    let text = text.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            answer(&mut stream, &text).await;
        }
    });
    format!("http://{address}/")
}

async fn answer(stream: &mut (impl AsyncReadExt + AsyncWriteExt + Unpin), text: &str) {
    let _ = stream.read(&mut [0; 4096]).await;
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// Calls `url` as the toolbox whose certificate is `pinned`; every cause of a failure in one text.
async fn call(url: &str, pinned: &CertificateDer<'_>) -> Result<u16, String> {
    let config = Pin::parse(&sha256(pinned)).expect("64 digits").config(ToolboxId::new());
    let client = builder(Reach::Loopback, PATIENCE).tls_backend_preconfigured(config).build().expect("a client");
    client.get(url).send().await.map(|reply| reply.status().as_u16()).map_err(|error| {
        let (mut text, mut cause) = (error.to_string(), error.source());
        while let Some(next) = cause {
            text.push_str(&next.to_string());
            cause = next.source();
        }
        text
    })
}

#[tokio::test]
async fn exactly_the_pinned_certificate_is_accepted() {
    let (mine, key) = identity();
    let (other, other_key) = identity();
    let url = gateway(mine.clone(), key.clone_key()).await;
    assert_eq!(call(&url, &mine).await, Ok(204));
    let refused = call(&url, &other).await.expect_err("another's certificate");
    assert!(refused.contains("another certificate"), "{refused}");

    // A certificate is public; its key is not.
    let thief = gateway(mine.clone(), other_key).await;
    let refused = call(&thief, &mine).await.expect_err("without its key");
    assert!(!refused.contains("another certificate"), "{refused}");
}

#[test]
fn a_pin_is_64_digits() {
    assert!(Pin::parse(&"0a".repeat(32)).is_some());
    for text in ["", "0a", &"0A".repeat(32), &"0g".repeat(32), &"0a".repeat(33), &"é".repeat(32)] {
        assert!(Pin::parse(text).is_none(), "{text}");
    }
}

/// A toolbox that enrols with this certificate, if any.
async fn enrolled(db: &testkit::TestDatabase, certificate: Option<String>) -> ToolboxId {
    let (owner, hash) = (testkit::user(db).await, sha256(&identity().0));
    db.database.toolbox_create(&Caller::user(owner), "box", &hash).await.expect("made");
    let gateway = "https://127.0.0.1:1/mcp".to_owned();
    let request = EnrolRequest { public_key: "key".into(), gateway, version: "1".into(), certificate };
    db.database.toolbox_enrol(&Caller::service(), &hash, &request).await.expect("enrolled").toolbox_id
}

#[tokio::test]
async fn a_toolbox_is_called_with_the_certificate_of_its_enrolment() {
    let db = testkit::database().await;
    let (certificate, key) = identity();
    let (mine, other, none) = (
        enrolled(&db, Some(sha256(&certificate))).await,
        enrolled(&db, Some(sha256(&identity().0))).await,
        enrolled(&db, None).await,
    );
    let url = gateway(certificate, key).await;
    let gateways = Gateways::local(db.database.clone(), PATIENCE);
    let call = async |toolbox| {
        let gateway = gateways.open(toolbox, &url).await.expect("an address that may be called");
        gateway.client().get(gateway.url("/wake")).send().await.map(|reply| reply.status().as_u16()).ok()
    };
    assert_eq!((call(mine).await, call(other).await), (Some(204), None));
    assert!(matches!(gateways.open(none, &url).await, Err(Unreachable::Certificate)));
    // On the loopback it needs none.
    assert!(gateways.open(none, "http://127.0.0.1:1/mcp").await.is_ok());
}
