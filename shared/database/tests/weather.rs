//! The direct door when the way to Postgres breaks and mends.

use database::{Caller, Database, Error, Options};
use serde_json::{Value, json};
use std::time::{Duration, Instant};
use testkit::{TestDatabase, chaos::Proxy};

const GET: &str = "ephemeral_get";

async fn through_a_proxy(db: &TestDatabase) -> (Proxy, Database) {
    let url = db.url.rsplit_once('@').expect("a user stands before the host").1;
    let service = url.split('/').next().expect("a host").parse().expect("an address and a port");
    let proxy = Proxy::start(service).await.expect("a free port");
    let url = db.url.replace(&format!("{service}"), &proxy.address().to_string());
    let options =
        Options { connect_timeout: Duration::from_secs(2), call_timeout: Duration::from_secs(2), ..Options::default() };
    (proxy, Database::direct(&url, &options).expect("the URL is well-formed"))
}

async fn get(database: &Database) -> Result<Value, Error> {
    database.call(&Caller::service(), GET, &json!({"scope": "weather", "key": "k"})).await
}

#[tokio::test]
async fn a_broken_connection_is_unavailable_and_mends_by_itself() {
    let db = testkit::database().await;
    let (proxy, database) = through_a_proxy(&db).await;
    get(&database).await.expect("it works");
    proxy.break_connections();
    for _ in 0..3 {
        assert!(matches!(get(&database).await, Err(Error::Unavailable(_))));
    }
    proxy.mend();
    // A connection that broke while nobody looked is noticed by the next call at the latest.
    let mended = async { while get(&database).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), mended).await.expect("it works again");
}

#[tokio::test]
async fn silence_ends_at_the_time_limit() {
    let db = testkit::database().await;
    let (proxy, database) = through_a_proxy(&db).await;
    get(&database).await.expect("it works");
    proxy.go_silent();
    for _ in 0..2 {
        let started = Instant::now();
        assert!(matches!(get(&database).await, Err(Error::Unavailable(_))));
        assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
    }
    proxy.mend();
    let mended = async { while get(&database).await.is_err() {} };
    tokio::time::timeout(Duration::from_secs(30), mended).await.expect("it works again");
}

#[tokio::test]
async fn a_call_that_takes_too_long_does_not_hold_up_the_next() {
    let db = testkit::database().await;
    db.run(
        "create function api.probe_sleep(jsonb) returns jsonb language sql security definer set search_path = ''
           as $$ select to_jsonb(pg_sleep(($1 ->> 'seconds')::float8)::text) $$;
         grant execute on function api.probe_sleep(jsonb) to service; call gate.adopt();",
    )
    .await;
    let options = Options { pool_size: 1, call_timeout: Duration::from_secs(2), ..Options::default() };
    let database = Database::direct(&db.url, &options).expect("the URL is well-formed");
    let slow = database.call::<Value>(&Caller::service(), "probe_sleep", &json!({"seconds": 30})).await;
    assert!(matches!(slow, Err(Error::Unavailable(_))), "{slow:?}");
    get(&database).await.expect("the only connection is another one");
    let quick = database.call::<Value>(&Caller::service(), "probe_sleep", &json!({"seconds": 0})).await;
    quick.expect("it is the sleep that was too long");
}

#[tokio::test]
async fn a_full_pool_is_unavailable_not_a_wait_without_end() {
    let db = testkit::database().await;
    let options = Options { pool_size: 1, connect_timeout: Duration::from_secs(1), ..Options::default() };
    let database = Database::direct(&db.url, &options).expect("the URL is well-formed");
    db.run(
        "create function api.probe_sleep(jsonb) returns jsonb language sql security definer set search_path = ''
           as $$ select to_jsonb(pg_sleep(($1 ->> 'seconds')::float8)::text) $$;
         grant execute on function api.probe_sleep(jsonb) to service; call gate.adopt();",
    )
    .await;
    get(&database).await.expect("it works");
    let holder = database.clone();
    let holding =
        tokio::spawn(
            async move { holder.call::<Value>(&Caller::service(), "probe_sleep", &json!({"seconds": 5})).await },
        );
    let asleep = "select count(*) from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'";
    let begun = async { while db.value(asleep).await.as_deref() != Some("1") {} };
    tokio::time::timeout(Duration::from_secs(4), begun).await.expect("the only connection is held");
    assert!(matches!(get(&database).await, Err(Error::Unavailable(_))));
    holding.await.expect("no panic").expect("the holder is served");
    get(&database).await.expect("it works again");
}

/// `0.0.0.0` reaches this machine and is not loopback: a server elsewhere, that offers no TLS.
#[tokio::test]
async fn a_server_elsewhere_is_not_spoken_to_without_tls() {
    let db = testkit::database().await;
    assert!(db.url.contains("@127.0.0.1:"));
    let elsewhere = db.url.replace("@127.0.0.1:", "@0.0.0.0:");
    for url in [elsewhere.clone(), format!("{elsewhere}?sslmode=disable"), format!("{elsewhere}?sslmode=prefer")] {
        let database = Database::direct(&url, &Options::default()).expect("the URL is well-formed");
        assert!(matches!(get(&database).await, Err(Error::Unavailable(_))), "{url}");
    }
    let here = Database::direct(&db.url, &Options::default()).expect("the URL is well-formed");
    get(&here).await.expect("on this machine it may be plain");
}
