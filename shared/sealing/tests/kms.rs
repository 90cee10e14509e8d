//! Against a KMS that speaks AWS's wire format: `moto_server` (PyPI `moto[server]`) on this machine, or any by
//! `AGENTOPIA_TEST_KMS_URL`.

#![cfg(feature = "kms")]

use aws_sdk_kms::{
    Client,
    config::{BehaviorVersion, Credentials, Region},
};
use protocol::ids::UserId;
use sealing::{
    Key, KeyWrap,
    wrap::{Kms, Whose, WrapError, Wrapped},
};
use std::{
    net::TcpListener,
    process::{Child, Command, Stdio},
    time::Duration,
};
use uuid::Uuid;

struct Server {
    url: String,
    child: Option<Child>,
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}

fn server() -> Option<Server> {
    if let Ok(url) = std::env::var("AGENTOPIA_TEST_KMS_URL") {
        return Some(Server { url, child: None });
    }
    let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a free port").port();
    let child = Command::new("moto_server")
        .args(["-H", "127.0.0.1", "-p", &port.to_string()])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    match child {
        Ok(child) => Some(Server { url: format!("http://127.0.0.1:{port}"), child: Some(child) }),
        Err(error) => {
            eprintln!("SKIPPED: no KMS to test against: moto_server: {error} (pip install 'moto[server]')");
            None
        }
    }
}

async fn client(server: &Server) -> Client {
    let config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .endpoint_url(&server.url)
        .build();
    let client = Client::from_conf(config);
    for _ in 0..100 {
        if client.list_keys().send().await.is_ok() {
            return client;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("the KMS at {} does not answer", server.url);
}

async fn key(client: &Client) -> String {
    let made = client.create_key().send().await.expect("a key");
    made.key_metadata.expect("described").key_id
}

#[tokio::test]
async fn a_key_unwraps_for_its_tenant_only_and_after_a_move_to_another_key() {
    let Some(server) = server() else { return };
    let client = client(&server).await;
    let (first, second) = (key(&client).await, key(&client).await);
    let before = Kms::new(client.clone(), vec![first.clone()]).expect("configured");
    let after = Kms::new(client.clone(), vec![first, second]).expect("configured");
    let (secret, whose) = (Key::new([7; 32]), Whose { tenant: UserId::new(), key_id: Uuid::now_v7() });

    let old = before.wrap(&secret, whose).await.expect("wrapped");
    assert_eq!(before.unwrap(&old, whose).await.expect("unwrapped"), secret);
    assert_eq!(after.unwrap(&old, whose).await.expect("unwrapped"), secret);
    let new = after.wrap(&secret, whose).await.expect("wrapped");
    assert_eq!((old.key, new.key), (1, 2));
    assert_eq!(after.unwrap(&new, whose).await.expect("unwrapped"), secret);
    assert!(matches!(before.unwrap(&new, whose).await, Err(WrapError::NoSuchKey(2))));

    for other in [Whose { tenant: UserId::new(), ..whose }, Whose { key_id: Uuid::now_v7(), ..whose }] {
        assert!(after.unwrap(&new, other).await.is_err());
    }
    assert!(after.unwrap(&Wrapped { key: 2, blob: b"noise".to_vec() }, whose).await.is_err());
    assert!(matches!(Kms::new(client, Vec::new()), Err(WrapError::Unconfigured)));
}
