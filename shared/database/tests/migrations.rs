//! The migrations: applied by us or by the real Supabase CLI, in any order, with the same result.

use database::embedded::{Error, migrate};

/// The versions and names that are recorded.
async fn recorded(db: &testkit::TestDatabase) -> Vec<Vec<Option<String>>> {
    db.rows("select version, name from supabase_migrations.schema_migrations order by version").await
}

fn push(db: &testkit::TestDatabase) -> String {
    testkit::supabase::run(&["db", "push", "--yes", "--db-url", &db.owner_url])
}

#[tokio::test]
async fn applying_twice_changes_nothing() {
    let db = testkit::empty_database().await;
    let applied = migrate(&db.owner_url).await.expect("the migrations apply");
    assert_eq!(applied.first().map(String::as_str), Some("20261121000000_foundation"));
    let (schema, record) = (db.schema(), recorded(&db).await);
    assert_eq!(applied.len(), record.len());
    assert!(migrate(&db.owner_url).await.expect("nothing to do").is_empty());
    assert_eq!((db.schema(), recorded(&db).await), (schema, record));
}

#[tokio::test]
async fn the_supabase_cli_makes_the_same_database_and_each_knows_the_others_work() {
    let (ours, theirs) = (testkit::empty_database().await, testkit::empty_database().await);
    migrate(&ours.owner_url).await.expect("the migrations apply");
    let said = push(&theirs);
    assert!(said.contains("Applying migration 20261121000000_foundation.sql"), "{said}");
    assert_eq!(ours.schema(), theirs.schema());
    assert_eq!(recorded(&ours).await, recorded(&theirs).await);
    // The other way round there is nothing to do, for either.
    let said = push(&ours);
    assert!(said.contains("up to date"), "{said}");
    let said = push(&theirs);
    assert!(said.contains("up to date"), "{said}");
    assert!(migrate(&theirs.owner_url).await.expect("nothing to do").is_empty());
    assert_eq!(ours.schema(), theirs.schema());
}

/// On a hosted project a superuser is not to be had, and `postgres` must do.
#[tokio::test]
async fn the_migrating_role_is_no_superuser() {
    let db = testkit::database().await;
    let role = db.rows("select rolsuper, rolcreaterole from pg_roles where rolname = 'postgres'").await;
    assert_eq!(role, [[Some("f".to_owned()), Some("t".to_owned())]]);
}

/// Somebody who brings a plain Postgres has only a superuser.
#[tokio::test]
async fn a_superuser_may_migrate_too() {
    let db = testkit::empty_database().await;
    migrate(&db.admin_url).await.expect("the migrations apply");
    let usual = testkit::database().await;
    let functions = "select p.oid::regprocedure, p.proowner::regrole from pg_proc p
        where p.pronamespace::regnamespace::text in ('api', 'app', 'gate') order by p.oid::regprocedure::text";
    assert_eq!(db.rows(functions).await, usual.rows(functions).await);
}

#[tokio::test]
async fn a_database_of_a_newer_release_is_left_alone() {
    let db = testkit::database().await;
    db.run("insert into supabase_migrations.schema_migrations (version, name) values ('29990101000000', 'later')")
        .await;
    let refused = migrate(&db.owner_url).await;
    assert!(matches!(&refused, Err(Error::FromTheFuture(version)) if version == "29990101000000"), "{refused:?}");
}

#[tokio::test]
async fn two_that_migrate_at_once_take_turns() {
    let db = testkit::empty_database().await;
    let (one, other) = tokio::join!(migrate(&db.owner_url), migrate(&db.owner_url));
    let (one, other) = (one.expect("it waits its turn"), other.expect("it waits its turn"));
    assert!(one.is_empty() != other.is_empty(), "{one:?} {other:?}");
}
