//! What every store of expiring state promises.

use ephemeral::Ephemeral;
use serde_json::{Value, json};
use std::time::Duration;

const LONG: Duration = Duration::from_secs(60);
/// Nothing is looked for within it: on a busy machine it is over before it has begun.
const BRIEF: Duration = Duration::from_millis(1);

pub(crate) async fn keeps_all(state: &Ephemeral) {
    a_value_is_there_until_it_expires(state).await;
    once_is_once(state).await;
    one_of_many_takes(state).await;
    a_window_counts_every_call(state).await;
    scopes_are_apart(state).await;
}

async fn expire() {
    tokio::time::sleep(Duration::from_millis(50)).await;
}

async fn a_value_is_there_until_it_expires(state: &Ephemeral) {
    let value = json!({"a": [1, null, "ü"]});
    state.put("values", "k", &value, LONG).await.expect("put");
    assert_eq!(state.get::<Value>("values", "k").await.expect("got"), Some(value));
    state.put("values", "k", &1, BRIEF).await.expect("put");
    assert_eq!(state.get::<Value>("values", "other").await.expect("got"), None);
    expire().await;
    assert_eq!(state.get::<Value>("values", "k").await.expect("got"), None);
    assert_eq!(state.take::<Value>("values", "k").await.expect("taken"), None);
    state.put("values", "k", &1, LONG).await.expect("put");
    state.put("values", "k", &2, LONG).await.expect("put again");
    assert_eq!(state.get::<u8>("values", "k").await.expect("got"), Some(2));
    state.put("values", "null", &Value::Null, LONG).await.expect("put");
    assert_eq!(state.take::<Value>("values", "null").await.expect("taken"), Some(Value::Null));
}

async fn once_is_once(state: &Ephemeral) {
    assert!(state.once("once", "long", LONG).await.expect("recorded"));
    assert!(!state.once("once", "long", LONG).await.expect("recorded"));
    assert!(state.once("once", "k", BRIEF).await.expect("recorded"));
    expire().await;
    let attempts = (0..12).map(|_| {
        let state = state.clone();
        tokio::spawn(async move { state.once("once", "k", LONG).await.expect("recorded") })
    });
    let mut won = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        won += usize::from(attempt.await.expect("no panic"));
    }
    assert_eq!(won, 1, "of many at once");
}

async fn one_of_many_takes(state: &Ephemeral) {
    assert!(state.put_if_absent("take", "k", &"v", LONG).await.expect("put"));
    assert!(!state.put_if_absent("take", "k", &"w", LONG).await.expect("put"));
    let attempts = (0..12).map(|_| {
        let state = state.clone();
        tokio::spawn(async move { state.take::<String>("take", "k").await.expect("taken") })
    });
    let mut got = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        got.extend(attempt.await.expect("no panic"));
    }
    assert_eq!(got, ["v"]);
    assert!(state.put_if_absent("take", "k", &"x", LONG).await.expect("put"), "what was taken is absent");
}

async fn a_window_counts_every_call(state: &Ephemeral) {
    let attempts = (0..12).map(|_| {
        let state = state.clone();
        tokio::spawn(async move { state.count("count", "many", LONG).await.expect("counted") })
    });
    let mut counts = Vec::new();
    for attempt in attempts.collect::<Vec<_>>() {
        counts.push(attempt.await.expect("no panic"));
    }
    counts.sort_unstable();
    assert_eq!(counts, (1..=12).collect::<Vec<_>>());
    // The first call sets the window, whatever the next ones say.
    assert_eq!(state.count("count", "long", LONG).await.expect("counted"), 1);
    assert_eq!(state.count("count", "long", BRIEF).await.expect("counted"), 2);
    assert_eq!(state.count("count", "brief", BRIEF).await.expect("counted"), 1);
    expire().await;
    assert_eq!(state.count("count", "long", BRIEF).await.expect("counted"), 3);
    assert_eq!(state.count("count", "brief", LONG).await.expect("counted"), 1);
}

async fn scopes_are_apart(state: &Ephemeral) {
    state.put("one", "k", &1, LONG).await.expect("put");
    assert_eq!(state.get::<u8>("two", "k").await.expect("got"), None);
}
