//! The sweep over a real database, and the event that a schedule invokes it with.

use database::{Caller, Database};
use lambda_http::{http::Method, request::LambdaRequest};
use protocol::chat::Secret;
use sealing::{KeyFile, Vault};
use serde_json::Value;
use std::{path::Path, sync::Arc};
use testkit::TestDatabase;

fn vault(db: &TestDatabase, path: &Path) -> Vault<Database> {
    Vault::new(db.database.clone(), Arc::new(KeyFile::open_or_create(path).expect("a key file")))
}

#[tokio::test]
async fn what_time_has_ended_goes_and_what_has_not_stays() {
    let db = testkit::database().await;
    let user = Caller::user(testkit::user(&db).await);
    for (name, hash) in [("old", "a"), ("new", "b")] {
        db.database.toolbox_create(&user, name, hash).await.unwrap();
    }
    db.run("update app.toolbox set enrolment_expires_at = now() where name = 'old'").await;
    db.run(
        "insert into app.ephemeral values ('test', 'old', 'true', now() - interval '1 second'),
           ('test', 'new', 'true', now() + interval '1 hour')",
    )
    .await;
    let folder = tempfile::tempdir().unwrap();
    let vault = vault(&db, &folder.path().join("vault.key"));
    let swept = sweeper::run_once(&db.database, &vault).await.unwrap().0;
    assert_eq!((swept["enrolments"], swept["expiring"], swept["credentials"]), (1, 1, 0), "{swept:?}");
    let left = "select count(*)::text from app.toolbox where enrolment_hash is not null";
    assert_eq!(db.value(left).await.as_deref(), Some("1"));
    let again = sweeper::run_once(&db.database, &vault).await.unwrap().0;
    assert!(again.values().all(|count| *count == 0), "{again:?}");
}

#[tokio::test]
async fn what_an_older_key_wrapped_is_wrapped_anew_and_then_the_older_is_good_no_more() {
    let (db, folder) = (testkit::database().await, tempfile::tempdir().unwrap());
    let path = folder.path().join("vault.key");
    let old = vault(&db, &path);
    for _ in 0..3 {
        let user = Caller::user(testkit::user(&db).await);
        old.store(&user, "io.example/server", "KEY", &Secret::new("value".to_owned()), None).await.unwrap();
    }
    KeyFile::rotate(&path).unwrap();
    let new = vault(&db, &path);
    assert_eq!(sweeper::run_once(&db.database, &new).await.unwrap().0["rewrapped"], 3);
    assert_eq!(sweeper::run_once(&db.database, &new).await.unwrap().0["rewrapped"], 0);
    let wrapped = "select min(wrapping_key) || ' ' || (select minimum from app.wrapping) from app.tenant_key";
    assert_eq!(db.value(wrapped).await.as_deref(), Some("2 2"));
}

/// The event stands in the template as a folded text.
fn event() -> Value {
    let template = include_str!("../../../infra/template.yaml");
    let folded = template.split("Input: >-\n").nth(1).expect("the schedule has an input");
    let lines = folded.lines().take_while(|line| line.starts_with("              "));
    serde_json::from_str(&lines.collect::<String>()).expect("the input is JSON")
}

#[test]
fn the_schedules_event_is_read_as_a_post() {
    let request: LambdaRequest = serde_json::from_value(event()).expect("lambda_http reads it");
    let request = lambda_http::Request::from(request);
    assert_eq!((request.method(), request.uri().path()), (&Method::POST, "/sweep"));
}
