//! What a check-in records, what it answers, and what it leaves alone.

use crate::app::{App, Toolbox, npx, running, tool};
use serde_json::{Value, json};

async fn enrolled(app: &App) -> Toolbox {
    let user = app.user().await;
    app.enrolled(user, "home", "http://127.0.0.1:1/mcp").await
}

async fn toolbox(app: &App, toolbox: &Toolbox) -> Value {
    app.ask(toolbox.owner, "GET", &format!("/api/toolboxes/{}", toolbox.id), Value::Null).await.1
}

#[tokio::test]
async fn the_desired_state_comes_when_it_is_newer() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let (status, reply) = app.checkin(&home, json!({})).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!((&reply["desired"], &reply["interval"]), (&Value::Null, &json!(30)));
    assert!(reply["capability_keys"]["test"].is_string());
    let server = app.deploy(&home, npx("mcp-server-x")).await;
    let (_, reply) = app.checkin(&home, json!({"sequence": 2})).await;
    assert_eq!(reply["desired"]["generation"], 1);
    let spec = &reply["desired"]["servers"][0];
    assert_eq!((&spec["id"], &spec["name"], &spec["revision"]), (&server["id"], &json!("x"), &json!(0)));
    let (_, reply) = app.checkin(&home, json!({"sequence": 3, "known_generation": 1, "applied_generation": 1})).await;
    assert_eq!(reply["desired"], Value::Null);
    assert_eq!(toolbox(&app, &home).await["applied_generation"], 1);
}

#[tokio::test]
async fn an_old_message_is_answered_and_not_recorded() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let server = app.deploy(&home, npx("a")).await;
    let id = &server["id"];
    let say = |boot: &str, sequence: u32, state: &str| json!({"boot_id": boot, "sequence": sequence, "servers": [{"id": id, "state": state, "revision": 0}]});
    for (message, recorded) in [
        (say("one", 5, "installing"), "installing"),
        (say("one", 4, "pending"), "installing"),
        (say("one", 6, "starting"), "starting"),
        // The daemon starts anew, then a message of its former life arrives.
        (say("two", 1, "running"), "running"),
        (say("one", 7, "failed"), "running"),
        (say("two", 2, "stopped"), "stopped"),
    ] {
        let (status, reply) = app.checkin(&home, message.clone()).await;
        assert_eq!(status, 200);
        assert_eq!(reply["desired"]["generation"], 1, "every message is answered");
        assert_eq!(app.server(&home, id).await["status"]["state"], recorded, "{message}");
    }
}

#[tokio::test]
async fn a_status_of_before_a_restart_is_dropped() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let server = app.deploy(&home, npx("a")).await;
    let id = &server["id"];
    let path = format!("/api/toolboxes/{}/servers/{}/restart", home.id, id.as_str().unwrap());
    let (status, restarted) = app.ask(home.owner, "POST", &path, Value::Null).await;
    assert_eq!((status.as_u16(), &restarted["revision"]), (200, &json!(1)));
    app.checkin(&home, json!({"servers": [running(id, 0, json!([tool("get", "a")]))]})).await;
    let seen = app.server(&home, id).await;
    assert_eq!(seen["status"]["state"], "pending");
    // The toolbox sends a list of tools only once, so that is kept.
    assert_eq!(seen["status"]["tools"][0]["name"], "get");
    app.checkin(&home, json!({"sequence": 2, "servers": [{"id": id, "state": "running", "revision": 1}]})).await;
    assert_eq!(app.server(&home, id).await["status"]["state"], "running");
}

#[tokio::test]
async fn a_tool_that_changes_waits_for_a_new_look() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let server = app.deploy(&home, npx("a")).await;
    let id = &server["id"];
    let tools = |digest: &str| json!([tool("get", digest), tool("set", "b")]);
    app.checkin(&home, json!({"servers": [running(id, 0, tools("a"))]})).await;
    assert!(app.server(&home, id).await.get("changed_tools").is_none());
    app.checkin(&home, json!({"sequence": 2, "servers": [running(id, 0, tools("c"))]})).await;
    assert_eq!(app.server(&home, id).await["changed_tools"], json!(["get"]));
    let pinned = app.db.value("select digest from app.server_tool where name = 'get'").await.unwrap();
    assert_eq!(pinned, "a".repeat(64));
    // It changes back: what was granted is what is there.
    app.checkin(&home, json!({"sequence": 3, "servers": [running(id, 0, tools("a"))]})).await;
    assert!(app.server(&home, id).await.get("changed_tools").is_none());
    // A tool that is listed no longer is gone from the list.
    app.checkin(&home, json!({"sequence": 4, "servers": [running(id, 0, json!([tool("set", "b")]))]})).await;
    let tools = &app.server(&home, id).await["status"]["tools"];
    assert_eq!(tools.as_array().unwrap().iter().map(|tool| &tool["name"]).collect::<Vec<_>>(), ["set"]);
}

#[tokio::test]
async fn a_toolbox_speaks_for_its_own_servers_only() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let office = app.enrolled(home.owner, "office", "http://127.0.0.1:1/mcp").await;
    let strange = enrolled(&app).await;
    let server = app.deploy(&home, npx("a")).await;
    let report = json!({"servers": [running(&server["id"], 0, json!([tool("get", "a")]))]});
    for other in [&office, &strange] {
        let (status, reply) = app.checkin(other, report.clone()).await;
        assert_eq!((status.as_u16(), &reply["desired"]), (200, &Value::Null));
    }
    let seen = app.server(&home, &server["id"]).await;
    assert_eq!((&seen["status"]["state"], seen["status"].get("tools")), (&json!("pending"), None));
    app.checkin(&home, report).await;
    assert_eq!(app.server(&home, &server["id"]).await["status"]["state"], "running");
}

#[tokio::test]
async fn a_hostile_server_cannot_stop_its_toolbox_from_checking_in() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let server = app.deploy(&home, npx("a")).await;
    let mut bad = tool("get", "a");
    bad["definition"]["description"] = json!("a\u{0}b");
    let report = json!({"servers": [{
        "id": server["id"], "state": "running", "revision": 0, "log_tail": ["\u{0}\u{1b}[2J", "x".repeat(100_000)],
        "detail": "\u{0}", "tools": [bad, tool("get", "b"), tool("no name", "c"), {"name": "x", "digest": "no", "definition": {}}],
    }]});
    let (status, reply) = app.checkin(&home, report).await;
    assert_eq!(status, 200, "{reply}");
    assert_eq!(app.server(&home, &server["id"]).await["status"]["tools"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn silence_makes_a_toolbox_late_and_then_offline() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    app.db.run("update app.plane set alive_at = now(), resumed_at = '-infinity'").await;
    for (silent, state) in [(0, "online"), (75, "online"), (80, "late"), (115, "offline")] {
        app.db.run(&format!("update app.toolbox set last_seen_at = now() - interval '{silent} seconds'")).await;
        assert_eq!(toolbox(&app, &home).await["state"], state, "{silent} seconds");
    }
    app.checkin(&home, json!({})).await;
    assert_eq!(toolbox(&app, &home).await["state"], "online");
}

#[tokio::test]
async fn a_message_of_an_older_life_that_was_never_heard_before_takes_nothing_over() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let server = app.deploy(&home, npx("a")).await;
    let id = &server["id"];
    let say =
        |boot: &str, state: &str| json!({"boot_id": boot, "servers": [{"id": id, "state": state, "revision": 0}]});
    app.checkin(&home, say("0190-newer", "running")).await;
    app.checkin(&home, say("0180-older", "failed")).await;
    assert_eq!(app.server(&home, id).await["status"]["state"], "running");
    // A clock that was turned back: after a minute in which nothing else was heard it is believed.
    app.db.run("update app.toolbox set last_seen_at = now() - interval '61 seconds'").await;
    app.checkin(&home, say("0180-older", "starting")).await;
    assert_eq!(app.server(&home, id).await["status"]["state"], "starting");
}

#[tokio::test]
async fn the_skew_of_its_clock_is_shown() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    let ahead = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(300);
    app.checkin(&home, json!({"sent_at": ahead})).await;
    let skew = toolbox(&app, &home).await["skew"].as_i64().unwrap();
    assert!((295..=301).contains(&skew), "{skew}");
}

#[tokio::test]
async fn nobody_is_called_late_for_an_outage_of_our_own() {
    let app = App::new().await;
    let home = enrolled(&app).await;
    app.checkin(&home, json!({})).await;
    let service = database::Caller::service();
    let plane = |alive: &str, resumed: &str| {
        format!("update app.plane set alive_at = now() - interval '{alive}', resumed_at = now() - interval '{resumed}'")
    };
    app.db.run(&plane("10 seconds", "1 day")).await;
    app.db.run("update app.toolbox set last_seen_at = now() - interval '100 seconds'").await;
    assert_eq!(toolbox(&app, &home).await["state"], "late");
    // The control plane was away itself: what was known stands, until it has been back for five minutes.
    app.db.run(&plane("1 hour", "1 day")).await;
    app.db.run("update app.toolbox set state = 'online', last_seen_at = now() - interval '1 hour'").await;
    assert_eq!(toolbox(&app, &home).await["state"], "online");
    app.db.database.sweep_run(&service).await.unwrap();
    assert_eq!(toolbox(&app, &home).await["state"], "online");
    app.db.run(&plane("10 seconds", "6 minutes")).await;
    assert_eq!(toolbox(&app, &home).await["state"], "offline");
}
