//! The promises of expiring state, in a real Postgres.

mod promises;

use ephemeral::Ephemeral;

#[tokio::test]
async fn postgres_keeps_every_promise() {
    let db = testkit::database().await;
    promises::keeps_all(&Ephemeral::postgres(db.database.clone())).await;
}

#[tokio::test]
async fn the_sweeper_removes_what_has_expired_and_nothing_else() {
    let db = testkit::database().await;
    let state = Ephemeral::postgres(db.database.clone());
    for key in ["a", "b", "c"] {
        state.put("gone", key, &1, std::time::Duration::from_millis(1)).await.expect("put");
    }
    state.put("stays", "d", &1, std::time::Duration::from_secs(60)).await.expect("put");
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(state.sweep(2).await.expect("swept"), 2);
    assert_eq!(state.sweep(10).await.expect("swept"), 1);
    assert_eq!(state.sweep(10).await.expect("swept"), 0);
    assert_eq!(state.get::<u8>("stays", "d").await.expect("got"), Some(1));
}

/// Only the control plane has expiring state.
#[tokio::test]
async fn a_user_reaches_none_of_it() {
    let db = testkit::database().await;
    let user = database::Caller::user(testkit::user(&db).await);
    let get = serde_json::json!({"scope": "s", "key": "k"});
    let refused = db.database.call::<serde_json::Value>(&user, "ephemeral_get", &get).await;
    assert!(matches!(refused, Err(database::Error::Forbidden { .. })), "{refused:?}");
    let allowed = db.database.call::<serde_json::Value>(&database::Caller::service(), "ephemeral_get", &get).await;
    assert_eq!(allowed.expect("the control plane may"), serde_json::Value::Null);
}
