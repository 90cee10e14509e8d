//! Makes a database ours: bootstrap and migrations.
//!
//! Migrations are recorded where the Supabase CLI records them, so it and this runner can take turns.

use super::{
    Admin, Error,
    admin::{failed, failed_in},
};
use include_dir::{Dir, include_dir};
use sha2::{Digest, Sha256};
use std::collections::HashSet;

static MIGRATIONS: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../../supabase/migrations");
const BOOTSTRAP: &str = include_str!("bootstrap.sql");

/// As the Supabase CLI makes it.
const RECORD: &str = "
create schema if not exists supabase_migrations;
create table if not exists supabase_migrations.schema_migrations (version text not null primary key);
alter table supabase_migrations.schema_migrations add column if not exists statements text[];
alter table supabase_migrations.schema_migrations add column if not exists name text;
";

struct Migration {
    version: &'static str,
    name: &'static str,
    sql: &'static str,
}

/// In the order of their versions.
fn migrations() -> Vec<Migration> {
    let mut all: Vec<_> = MIGRATIONS
        .files()
        .filter_map(|file| {
            let (version, name) = file.path().file_name()?.to_str()?.strip_suffix(".sql")?.split_once('_')?;
            Some(Migration { version, name, sql: file.contents_utf8()? })
        })
        .collect();
    all.sort_by_key(|migration| migration.version);
    all
}

/// Changes when any migration or the bootstrap does: names a template database.
pub fn migration_digest() -> String {
    let mut digest = Sha256::new();
    digest.update(BOOTSTRAP);
    for migration in migrations() {
        digest.update(migration.version);
        digest.update(migration.sql);
    }
    digest.finalize().iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Creates what Supabase provides. `url` is a superuser's; on Supabase itself there is nothing to do.
pub async fn bootstrap(url: &str) -> Result<(), Error> {
    Admin::connect(url).await?.run("bootstrap", BOOTSTRAP).await
}

/// Applies what is missing, each migration in a transaction with its record; returns what it applied.
/// `url` is Supabase's `postgres` or a superuser's.
pub async fn migrate(url: &str) -> Result<Vec<String>, Error> {
    let mut admin = Admin::connect(url).await?;
    let client = admin.client();
    // Of two programs that start at once, one migrates and the other finds it done.
    client.batch_execute("select pg_advisory_lock(7236850)").await.map_err(failed("migration lock"))?;
    client.batch_execute(RECORD).await.map_err(failed("migration record"))?;
    let known = migrations();
    let applied: HashSet<String> = client
        .query("select version from supabase_migrations.schema_migrations", &[])
        .await
        .map_err(failed("migration record"))?
        .iter()
        .map(|row| row.get(0))
        .collect();
    if let Some(unknown) = applied.iter().find(|version| known.iter().all(|ours| ours.version != version.as_str())) {
        return Err(Error::FromTheFuture(unknown.clone()));
    }
    let mut done = Vec::new();
    for migration in known.iter().filter(|migration| !applied.contains(migration.version)) {
        let name = format!("migration {}_{}", migration.version, migration.name);
        let transaction = client.transaction().await.map_err(failed(&name))?;
        transaction.batch_execute(migration.sql).await.map_err(failed_in(&name, migration.sql))?;
        transaction
            .execute(
                "insert into supabase_migrations.schema_migrations (version, name, statements) values ($1, $2, array[$3])",
                &[&migration.version, &migration.name, &migration.sql],
            )
            .await
            .map_err(failed(&name))?;
        transaction.commit().await.map_err(failed(&name))?;
        done.push(format!("{}_{}", migration.version, migration.name));
    }
    Ok(done)
}
