//! What servers say without being asked.

use super::{talk::*, *};

async fn listen(stage: &Stage, token: &str, session: &str) -> Live {
    let request = axum::http::Request::get("/mcp/talker").header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {token}")).header("mcp-session-id", session);
    let live = Live::open(stage, request.body(Body::empty()).unwrap()).await;
    assert!(live.streams());
    live
}

fn log(level: &str, data: &str) -> Value {
    json!({"method": "notifications/message", "params": {"level": level, "data": data, "vendor/x": [1.5]}})
}

#[tokio::test]
async fn logs_go_to_the_call_that_they_can_only_belong_to_from_the_level_that_was_wished() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let session = session(&stage, &token, json!({})).await;
    let set = |level: &str| {
        let body = json!({"id": 9, "method": "logging/setLevel", "params": {"level": level}});
        stage.send(within(&token, &session, body).body_of())
    };
    assert_eq!(set("loud").await.error_code(), Some(-32602));
    assert_eq!(set("warning").await.json()["result"], json!({}));
    let told = talker.hears(|message| message["method"] == "logging/setLevel").await;
    assert_eq!(told["params"]["level"], "warning");
    let waiting = calls(&stage, tool(&token, &session, 1, "a", json!({})));
    let called = talker.call("a", 1).await;
    for (level, data) in [("info", "not wished"), ("error", SECRET)] {
        talker.say(log(level, data));
    }
    let mut live = waiting.await.unwrap();
    let said = live.next().await.unwrap();
    assert_eq!(said["params"], json!({"level": "error", "data": "[redacted]", "vendor/x": [1.5]}));
    talker.answer(&called, "done");
    assert!(live.next().await.unwrap()["result"].is_object());
    // Another session that wants more makes the server say more, not this client hear more.
    let other = of_another(&stage);
    let second = talk::session(&stage, &other, json!({})).await;
    let body = json!({"id": 9, "method": "logging/setLevel", "params": {"level": "debug"}});
    stage.send(within(&other, &second, body).body_of()).await;
    set("error").await;
    talker.hears(|message| message["method"] == "logging/setLevel" && message["params"]["level"] == "debug").await;
    assert_eq!(talker.all("logging/setLevel").len(), 2);

    // With no call under way it goes to the sessions' streams.
    let (mut mine, mut theirs) = (listen(&stage, &token, &session).await, listen(&stage, &other, &second).await);
    talker.say(log("info", "idle"));
    talker.say(log("alert", "idle, too"));
    assert_eq!(theirs.next().await.unwrap()["params"]["data"], "idle");
    assert_eq!(mine.next().await.unwrap()["params"]["data"], "idle, too");
}

#[tokio::test]
async fn a_stateless_client_hears_logs_only_when_it_asks_for_them() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    for (n, (level, expected)) in [(None, 0), (Some("error"), 1), (Some("debug"), 2)].into_iter().enumerate() {
        let mut draft = stateless("/mcp/talker", &token, "tools/call", json!({"name": "a", "arguments": {}}));
        if let Some(level) = level {
            let mut body: Value = serde_json::from_str(&draft.body).unwrap();
            body["params"]["_meta"]["io.modelcontextprotocol/logLevel"] = level.into();
            draft = draft.text(body.to_string());
        }
        let waiting = calls(&stage, draft);
        let called = talker.call("a", n + 1).await;
        talker.say(log("info", "x"));
        talker.say(log("error", "x"));
        talker.answer(&called, "done");
        let mut live = waiting.await.unwrap();
        let mut said = 0;
        while live.next().await.unwrap()["result"].is_null() {
            said += 1;
        }
        assert_eq!(said, expected, "{level:?}");
    }
    let levels: Vec<Value> = talker.all("logging/setLevel").into_iter().map(|m| m["params"]["level"].clone()).collect();
    assert_eq!(levels, ["error", "debug"]);
}

#[tokio::test]
async fn a_resource_is_subscribed_to_once_for_all_and_told_of_to_those_who_did() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let (one, other) = (everything(&stage), of_another(&stage));
    let (first, second) = (session(&stage, &one, json!({})).await, session(&stage, &other, json!({})).await);
    let wish = |token: &str, session: &str, method: &str| {
        let body = json!({"id": 1, "method": method, "params": {"uri": "test://x"}});
        stage.send(within(token, session, body).body_of())
    };
    let (mut mine, mut theirs) = (listen(&stage, &one, &first).await, listen(&stage, &other, &second).await);
    for _ in 0..2 {
        assert_eq!(wish(&one, &first, "resources/subscribe").await.json()["result"], json!({}));
    }
    assert_eq!(talker.all("resources/subscribe").len(), 1);
    let updated = |uri: &str| talker.say(json!({"method": "notifications/resources/updated", "params": {"uri": uri}}));
    updated("test://xy");
    updated("test://x/part");
    assert_eq!(mine.next().await.unwrap()["params"], json!({"uri": "test://x/part"}));
    assert!(theirs.is_silent().await);
    wish(&other, &second, "resources/subscribe").await;
    wish(&one, &first, "resources/unsubscribe").await;
    updated("test://x");
    assert_eq!(theirs.next().await.unwrap()["params"]["uri"], "test://x");
    assert!(mine.is_silent().await);
    assert_eq!((talker.all("resources/subscribe").len(), talker.all("resources/unsubscribe").len()), (1, 0));
    // The end of its last session ends the subscription.
    let request = axum::http::Request::delete("/mcp/talker").header("host", "localhost");
    let request = request.header("authorization", format!("Bearer {other}")).header("mcp-session-id", &second);
    assert_eq!(stage.send(request.body(Body::empty()).unwrap()).await.status, StatusCode::NO_CONTENT);
    talker.hears(|message| message["method"] == "resources/unsubscribe").await;
    assert!(theirs.next().await.is_none());
    for kind in ["prompts", "resources"] {
        talker.say(json!({"method": format!("notifications/{kind}/list_changed")}));
        assert_eq!(mine.next().await.unwrap()["method"], format!("notifications/{kind}/list_changed"));
    }
}

#[tokio::test]
async fn who_may_not_call_every_tool_hears_nothing_of_the_server() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let some = stage.token(&["talker.a"]);
    let few = session(&stage, &some, json!({})).await;
    for (method, params) in [
        ("logging/setLevel", json!({"level": "debug"})),
        ("resources/subscribe", json!({"uri": "test://x"})),
        ("resources/unsubscribe", json!({"uri": "test://x"})),
    ] {
        let body = json!({"id": 1, "method": method, "params": params});
        assert_eq!(stage.send(within(&some, &few, body).body_of()).await.error_code(), Some(-32602), "{method}");
        assert!(talker.all(method).is_empty());
    }
    let full = everything(&stage);
    let all = session(&stage, &full, json!({})).await;
    let (mut mine, mut theirs) = (listen(&stage, &full, &all).await, listen(&stage, &some, &few).await);
    talker.say(log("error", "x"));
    talker.say(json!({"method": "notifications/prompts/list_changed"}));
    assert_eq!(mine.next().await.unwrap()["params"]["data"], "x");
    assert!(mine.next().await.is_some());
    assert!(theirs.is_silent().await);
    let records = stage.records.take(99).0;
    assert_eq!(records.iter().filter(|record| record.outcome == Outcome::Refused).count(), 3);
}

#[tokio::test]
async fn a_stream_of_the_stateless_revision_is_of_what_was_asked_for() {
    let stage = Arc::new(Stage::new().await);
    for character in [older(), newer()] {
        let newer = character.stateless;
        let talker = Talker::enter(&stage, character).await;
        let token = everything(&stage);
        let wanted = json!({"promptsListChanged": true, "resourceSubscriptions": ["test://x"]});
        let draft = stateless("/mcp/talker", &token, "subscriptions/listen", json!({"notifications": wanted}));
        let mut live = Live::open(&stage, draft.body_of()).await;
        let first = live.next().await.unwrap();
        assert_eq!(first["params"]["notifications"], wanted);
        let method = if newer { "subscriptions/listen" } else { "resources/subscribe" };
        talker.hears(|message| message["method"] == method && message.to_string().contains("test://x")).await;
        let tag = json!({"io.modelcontextprotocol/subscriptionId": 77, "vendor/x": 1});
        talker.say(json!({"method": "notifications/resources/list_changed"}));
        talker.say(json!({"method": "notifications/resources/updated", "params": {"uri": "test://y"}}));
        talker.say(json!({"method": "notifications/resources/updated", "params": {"uri": "test://x", "_meta": tag}}));
        talker.say(json!({"method": "notifications/prompts/list_changed"}));
        let said = live.next().await.unwrap();
        let tag = json!({"io.modelcontextprotocol/subscriptionId": 1, "vendor/x": 1});
        assert_eq!(said["params"], json!({"uri": "test://x", "_meta": tag}));
        let said = live.next().await.unwrap();
        assert_eq!(said["method"], "notifications/prompts/list_changed");
        assert_eq!(said["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 1);
        drop(live);
        let end = if newer { "notifications/cancelled" } else { "resources/unsubscribe" };
        talker.hears(|message| message["method"] == end).await;
    }
}

#[tokio::test]
async fn a_visit_to_a_page_is_told_to_the_session_that_was_sent_there() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let (one, other) = (everything(&stage), of_another(&stage));
    let able = json!({"elicitation": {"url": {}}});
    let (first, second) = (session(&stage, &one, able.clone()).await, session(&stage, &other, able).await);
    let (mut mine, mut theirs) = (listen(&stage, &one, &first).await, listen(&stage, &other, &second).await);
    let waiting = calls(&stage, tool(&one, &first, 1, "a", json!({})));
    talker.call("a", 1).await;
    let page = json!({"mode": "url", "url": "https://example.com", "message": "m", "elicitationId": "visit"});
    talker.asks("q", "elicitation/create", page);
    waiting.await.unwrap().next().await.unwrap();
    talker.say(json!({"method": "notifications/elicitation/complete", "params": {"elicitationId": "visit"}}));
    assert_eq!(mine.next().await.unwrap()["params"]["elicitationId"], "visit");
    assert!(theirs.is_silent().await);
}
