//! What toolboxes say has happened, and who reads it.

use crate::app::{App, Toolbox};
use capability::device;
use http::StatusCode;
use serde_json::{Value, json};

const SPOOL: &str = "01890000-0000-7000-8000-000000000001";

fn call(number: u64, outcome: &str, count: u64) -> Value {
    json!({"number": number, "at": "2026-11-27T10:00:00Z", "what": {"call": {
        "agent_id": "01890000-0000-7000-8000-00000000000a", "server": "time", "tool": "now",
        "arguments": "ab".repeat(32), "outcome": outcome, "count": count, "micros": count}}})
}

async fn upload(app: &App, toolbox: &Toolbox, body: Value) -> (StatusCode, Value) {
    let token = device::sign(&toolbox.key, toolbox.id, jiff::Timestamp::now().as_second()).unwrap();
    app.call("POST", "/api/toolboxes/events", Some(&token), body).await
}

async fn list(app: &App, toolbox: &Toolbox, query: &str) -> Value {
    let path = format!("/api/toolboxes/{}/events{query}", toolbox.id);
    let (status, events) = app.ask(toolbox.owner, "GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{events}");
    events
}

#[tokio::test]
async fn what_is_sent_again_is_recorded_once() {
    let app = App::new().await;
    let user = app.user().await;
    let home = app.enrolled(user, "home", "http://127.0.0.1:1/mcp").await;
    let refusal = json!({"number": 2, "at": "2026-11-27T10:00:01Z", "what": {"refusal": {
        "server_id": "01890000-0000-7000-8000-00000000000b", "host": "evil.example", "port": 443, "why": "not listed"}}});
    let body = json!({"spool": SPOOL, "events": [call(1, "answered", 3), refusal]});
    let (status, reply) = upload(&app, &home, body.clone()).await;
    assert_eq!((status.as_u16(), &reply["through"]), (200, &json!(2)), "{reply}");
    // The answer was lost, and one more has happened meanwhile.
    let (status, reply) =
        upload(&app, &home, json!({"spool": SPOOL, "events": [body["events"][1], call(3, "refused", 1)]})).await;
    assert_eq!((status.as_u16(), &reply["through"]), (200, &json!(3)), "{reply}");
    // A spool that was lost begins again at one: another spool.
    let other = json!({"spool": "01890000-0000-7000-8000-000000000002", "events": [call(1, "answered", 2)]});
    assert_eq!(upload(&app, &home, other).await.0, 200);

    let events = list(&app, &home, "").await;
    let kinds: Vec<_> = events.as_array().unwrap().iter().map(|event| event["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["call", "call", "refusal", "call"]);
    assert_eq!(list(&app, &home, "?kind=refusal").await[0]["data"]["host"], "evil.example");
    let newest = events[0]["id"].as_i64().unwrap();
    assert_eq!(list(&app, &home, &format!("?before={newest}&limit=1")).await[0], events[1]);
}

#[tokio::test]
async fn an_event_goes_to_its_own_user_only() {
    let app = App::new().await;
    let (ann, bob) = (app.user().await, app.user().await);
    let anns = app.enrolled(ann, "a", "http://127.0.0.1:1/mcp").await;
    let bobs = app.enrolled(bob, "b", "http://127.0.0.1:1/mcp").await;
    assert_eq!(upload(&app, &anns, json!({"spool": SPOOL, "events": [call(1, "answered", 1)]})).await.0, 200);
    // The same spool and number from another toolbox are another event, and hide nothing.
    assert_eq!(upload(&app, &bobs, json!({"spool": SPOOL, "events": [call(1, "failed", 1)]})).await.0, 200);
    for (toolbox, outcome) in [(&anns, "answered"), (&bobs, "failed")] {
        let events = list(&app, toolbox, "").await;
        assert_eq!((events.as_array().unwrap().len(), &events[0]["data"]["outcome"]), (1, &json!(outcome)));
    }
    let path = format!("/api/toolboxes/{}/events", anns.id);
    assert_eq!(app.ask(bob, "GET", &path, Value::Null).await.0, 404);
}

#[tokio::test]
async fn what_is_too_much_or_not_understood_is_refused_and_what_is_long_is_cut() {
    let app = App::new().await;
    let user = app.user().await;
    let home = app.enrolled(user, "home", "http://127.0.0.1:1/mcp").await;
    let many: Vec<Value> = (1..=501).map(|n| call(n, "answered", 1)).collect();
    for events in [
        json!([]),
        json!(many),
        json!([{"number": 1, "at": "2026-11-27T10:00:00Z", "what": {"made_up": {}}}]),
        json!([call(u64::MAX, "answered", 1)]),
        json!([call(1, "answered", u64::MAX)]),
    ] {
        let (status, reply) = upload(&app, &home, json!({"spool": SPOOL, "events": events})).await;
        assert!(status == 422 || status == 400, "{status} {reply}");
    }
    assert_eq!(list(&app, &home, "").await, json!([]));
    let mut long = call(1, "answered", 1);
    long["what"]["call"]["tool"] = json!(format!("\0{}", "x".repeat(5_000)));
    let (status, reply) = upload(&app, &home, json!({"spool": SPOOL, "events": [long]})).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(list(&app, &home, "").await[0]["data"]["tool"].as_str().unwrap().len(), 2_000);
}
