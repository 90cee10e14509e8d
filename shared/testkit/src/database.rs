//! A database for one test.

use crate::cluster::{self, Shared};
use database::{
    Database, Options,
    embedded::{Admin, Cluster, bootstrap},
};
use protocol::ids::UserId;
use std::{path::Path, process::Command, thread};
use uuid::Uuid;

/// A database that is dropped with this.
pub struct TestDatabase {
    /// The direct door, as the login role.
    pub database: Database,
    /// The login role's URL.
    pub url: String,
    /// The URL of the role that migrates, as the Supabase CLI would be given it.
    pub owner_url: String,
    /// A superuser's.
    pub admin_url: String,
    name: String,
    shared: Shared,
}

/// A fresh, migrated database.
pub async fn database() -> TestDatabase {
    let shared = cluster::shared().await;
    let template = shared.template.clone();
    TestDatabase::create(shared, &template).await
}

/// A fresh database that has only what Supabase provides.
pub async fn empty_database() -> TestDatabase {
    let made = TestDatabase::create(cluster::shared().await, "template0").await;
    bootstrap(&made.admin_url).await.expect("the bootstrap applies");
    made
}

/// Puts a new user into `auth.users`, as a sign-up would.
pub async fn user(db: &TestDatabase) -> UserId {
    let id = UserId::new();
    let row = format!(
        "insert into auth.users (id, aud, role, email, created_at, updated_at, email_confirmed_at)
         values ('{id}', 'authenticated', 'authenticated', '{id}@example.com', now(), now(), now())"
    );
    db.run(&row).await;
    id
}

impl TestDatabase {
    async fn create(shared: Shared, template: &str) -> Self {
        let name = format!("test_{}_{}", std::process::id(), Uuid::new_v4().simple());
        let cluster = &shared.cluster;
        let admin = Admin::connect(&cluster.admin_url("postgres")).await.expect("the cluster answers");
        drop_stale(&admin).await;
        admin
            .run("create", &format!("create database {name} template {template} owner postgres"))
            .await
            .expect("a database is made");
        shared.turn.unlock().expect("a lock can be given back");
        let url = cluster.url(&name);
        let options = Options { pool_size: 4, ..Options::default() };
        let database = Database::direct(&url, &options).expect("the URL is well-formed");
        let (owner_url, admin_url) = (cluster.owner_url(&name), cluster.admin_url(&name));
        Self { database, url, owner_url, admin_url, name, shared }
    }

    /// Runs SQL as a superuser; for what a test arranges, never for what it proves.
    pub async fn run(&self, sql: &str) {
        self.admin().await.run("test's SQL", sql).await.expect("the test's SQL runs");
    }

    /// The rows of a query as text, read by a superuser.
    pub async fn rows(&self, sql: &str) -> Vec<Vec<Option<String>>> {
        self.admin().await.rows(sql).await.expect("the test's query runs")
    }

    /// The first column of the first row.
    pub async fn value(&self, sql: &str) -> Option<String> {
        self.rows(sql).await.into_iter().next()?.into_iter().next()?
    }

    pub async fn admin(&self) -> Admin {
        Admin::connect(&self.admin_url).await.expect("the cluster answers")
    }

    /// Everything in schemas app, api and gate, as `pg_dump` writes it: two databases are alike when these are.
    pub fn schema(&self) -> String {
        let dumped = Command::new(self.cluster().binaries().program("pg_dump"))
            .args(["--schema-only", "-n", "app", "-n", "api", "-n", "gate", "-d", &self.admin_url])
            .output()
            .expect("pg_dump runs");
        assert!(dumped.status.success(), "{}", String::from_utf8_lossy(&dumped.stderr));
        let text = String::from_utf8_lossy(&dumped.stdout);
        // These two lines have a random key.
        text.lines()
            .filter(|line| !line.starts_with("\\restrict") && !line.starts_with("\\unrestrict"))
            .collect::<Vec<_>>()
            .join("\n")
    }

    /// The cluster that it lies in.
    pub fn cluster(&self) -> &Cluster {
        &self.shared.cluster
    }

    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let (url, name) = (self.shared.cluster.admin_url("postgres"), self.name.clone());
        // A test's runtime cannot wait for itself, so another one drops it.
        let dropping = thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            runtime.block_on(async {
                let admin = Admin::connect(&url).await.map_err(std::io::Error::other)?;
                remove(&admin, &name).await.map_err(std::io::Error::other)
            })
        });
        // What stays is dropped as stale later on.
        if let Ok(Err(error)) = dropping.join() {
            eprintln!("testkit: {} stays: {error}", self.name);
        }
    }
}

/// Drops the databases of test processes that ended without dropping them.
async fn drop_stale(admin: &Admin) {
    let names = admin.rows("select datname from pg_database where datname like 'test\\_%'").await;
    for name in names.expect("pg_database can be read").into_iter().flatten().flatten() {
        let process = name.split('_').nth(1).unwrap_or_default();
        if !Path::new("/proc").join(process).exists()
            && let Err(error) = remove(admin, &name).await
        {
            // Another test was quicker.
            eprintln!("testkit: {name}: {error}");
        }
    }
}

async fn remove(admin: &Admin, name: &str) -> Result<(), database::embedded::Error> {
    admin.run("drop", &format!("drop database if exists {name} with (force)")).await
}
