//! Input that a server needs before it can answer, across the revisions.

use super::{talk::*, *};

const ABLE: &str = "io.modelcontextprotocol/clientCapabilities";

/// `tools/call` of 2026-07-28 at `/mcp/talker`.
fn call(token: &str, id: u32, tool: &str, more: Value) -> Draft {
    let mut params = json!({"name": tool, "arguments": {"n": 1}});
    params.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    params["_meta"] = json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28", ABLE: {"elicitation": {}}});
    let body = json!({"jsonrpc": "2.0", "id": id, "method": "tools/call", "params": params});
    let draft = plain("/mcp/talker", token, body).set("mcp-protocol-version", "2026-07-28");
    draft.set("mcp-method", "tools/call").set("mcp-name", tool).set("accept", "application/json")
}

fn form() -> Value {
    json!({"message": "your name?", "requestedSchema": {"type": "object"}, "vendor": SECRET})
}

#[tokio::test]
async fn an_older_servers_question_goes_to_a_stateless_client_by_the_result() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let (token, other) = (everything(&stage), of_another(&stage));
    let first = calls(&stage, call(&token, 1, "a", json!({})));
    let called = talker.call("a", 1).await;
    talker.asks("q1", "elicitation/create", form());
    let mut live = first.await.unwrap();
    assert!(!live.streams());
    let answer = live.next().await.unwrap();
    let result = &answer["result"];
    assert_eq!((&answer["id"], &result["resultType"]), (&json!(1), &json!("input_required")));
    let mut expected = form();
    expected["vendor"] = "[redacted]".into();
    assert_eq!(result["inputRequests"]["elicitation"], json!({"method": "elicitation/create", "params": expected}));
    let given = |state: &Value| json!({"requestState": state, "inputResponses": {"elicitation": {"action": "accept", "content": {"name": "Ada"}}}});
    // Only who called, only the same tool with the same arguments, only this handle.
    let state = &result["requestState"];
    let mut elsewhere = given(state);
    elsewhere["arguments"] = json!({"n": 2});
    for wrong in [
        call(&other, 2, "a", given(state)),
        call(&token, 2, "b", given(state)),
        call(&token, 2, "a", elsewhere),
        call(&token, 2, "a", given(&json!(format!("{}0", state.as_str().unwrap())))),
        call(&token, 2, "a", given(&json!("parked-1"))),
        call(&token, 2, "a", given(&json!("anything"))),
    ] {
        assert_eq!(stage.send(wrong.body_of()).await.error_code(), Some(-32602));
    }
    // What a capability does not allow is not reached by a handle.
    let narrow = stage.token(&["talker.b"]);
    assert_eq!(stage.send(call(&narrow, 2, "a", given(state)).body_of()).await.error_code(), Some(-32602));
    assert!(talker.heard_answers().is_empty());
    // Without the answer it is asked again, under another handle.
    let reply =
        stage.send(call(&token, 3, "a", json!({"requestState": state, "inputResponses": {"x": {}}})).body_of()).await;
    let again = reply.json()["result"]["requestState"].clone();
    assert_eq!((&reply.json()["result"]["resultType"], again == *state), (&json!("input_required"), false));
    assert_eq!(stage.send(call(&token, 3, "a", given(state)).body_of()).await.error_code(), Some(-32602));

    let last = calls(&stage, call(&token, 4, "a", given(&again)));
    let heard = talker.hears(|message| message["id"] == "q1").await;
    assert_eq!(heard["result"]["content"]["name"], "Ada");
    talker.answer(&called, "hello Ada");
    let answer = last.await.unwrap().next().await.unwrap();
    assert_eq!((&answer["id"], &answer["result"]["resultType"]), (&json!(4), &json!("complete")));
    assert_eq!(answer["result"]["content"][0]["text"], "hello Ada");
    // One call to the server, one record of it.
    assert_eq!(talker.all("tools/call").len(), 1);
    assert_eq!(stage.records.take(99).0.iter().filter(|r| r.outcome == Outcome::Answered).count(), 1);
}

#[tokio::test]
async fn a_call_that_waits_for_its_client_does_so_for_its_time_and_not_after_a_revocation() {
    let settings = Settings { call_timeout: Duration::from_secs(2), ..Settings::default() };
    let stage = Arc::new(Stage::with(settings).await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let asked = async |count: usize| {
        let waiting = calls(&stage, call(&token, 1, "a", json!({})));
        let called = talker.call("a", count).await;
        talker.asks(&format!("q{count}"), "elicitation/create", form());
        waiting.await.unwrap().next().await.unwrap();
        called["id"].clone()
    };
    let withdrawn = async |id: Value| {
        talker.hears(|m| m["method"] == "notifications/cancelled" && m["params"]["requestId"] == id).await;
    };
    let id = asked(1).await;
    withdrawn(id).await;
    assert_eq!(stage.records.take(9).0[0].outcome, Outcome::TimedOut);
    let id = asked(2).await;
    let list = Revocations { sequence: 2, epochs: [(stage.agent, u64::MAX)].into(), revoked: vec![] };
    stage.verifier.set_revocations(&list, now()).unwrap();
    stage.hear.send(()).unwrap();
    withdrawn(id).await;
    assert_eq!(stage.records.take(9).0[0].outcome, Outcome::Revoked);
}

#[tokio::test]
async fn calls_that_wait_for_their_clients_are_bounded() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    for n in 1..=17 {
        let waiting = calls(&stage, call(&token, 1, "a", json!({})));
        talker.call("a", n).await;
        talker.asks(&format!("q{n}"), "elicitation/create", form());
        let answer = waiting.await.unwrap().next().await.unwrap();
        assert_eq!(answer["error"].is_null(), n <= 16, "{n} {answer}");
    }
    assert_eq!(stage.records.take(99).0.last().unwrap().outcome, Outcome::Unavailable);
}

#[tokio::test]
async fn a_stateless_servers_state_is_sealed_for_its_caller() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, newer()).await;
    let (token, other) = (everything(&stage), of_another(&stage));
    let own = "the server's \"own\" státe";
    let first = calls(&stage, call(&token, 1, "a", json!({})));
    let called = talker.call("a", 1).await;
    talker.say(json!({"id": called["id"], "result": {"resultType": "input_required", "requestState": own,
        "inputRequests": {"k": {"method": "elicitation/create", "params": {}}}, "vendor": 1}}));
    let answer = first.await.unwrap().next().await.unwrap();
    let sealed = answer["result"]["requestState"].clone();
    assert_ne!(sealed, own);
    assert_eq!(
        (&answer["result"]["inputRequests"]["k"]["method"], &answer["result"]["vendor"]),
        (&json!("elicitation/create"), &json!(1))
    );
    let given = |state: &Value| json!({"requestState": state, "inputResponses": {"k": {"action": "decline"}}});
    for wrong in [
        call(&other, 2, "a", given(&sealed)),
        call(&token, 2, "b", given(&sealed)),
        call(&token, 2, "a", given(&json!(own))),
        call(&token, 2, "a", given(&json!(format!("{}x", sealed.as_str().unwrap())))),
    ] {
        assert_eq!(stage.send(wrong.body_of()).await.error_code(), Some(-32602));
    }
    assert_eq!(talker.all("tools/call").len(), 1);
    let second = calls(&stage, call(&token, 2, "a", given(&sealed)));
    let again = talker.call("a", 2).await;
    assert_eq!(
        (&again["params"]["requestState"], &again["params"]["inputResponses"]["k"]["action"]),
        (&json!(own), &json!("decline"))
    );
    talker.answer(&again, "done");
    assert_eq!(second.await.unwrap().next().await.unwrap()["result"]["content"][0]["text"], "done");
}

#[tokio::test]
async fn a_client_of_sessions_is_asked_what_a_stateless_server_needs() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, newer()).await;
    let token = everything(&stage);
    let able = json!({"elicitation": {}, "roots": {}, "experimental": {"vendor": {"x": 1}}});
    let session = session(&stage, &token, able.clone()).await;
    let waiting = calls(&stage, tool(&token, &session, 7, "a", json!({"kept/x": 1})));
    let called = talker.call("a", 1).await;
    // It hears in each request what the client said once.
    assert_eq!(called["params"]["_meta"][ABLE], able);
    assert_eq!(called["params"]["_meta"]["kept/x"], 1);
    talker.say(
        json!({"id": called["id"], "result": {"resultType": "input_required", "requestState": "s1", "inputRequests": {
        "name": {"method": "elicitation/create", "params": {"message": "name?", "requestedSchema": {}}},
        "where": {"method": "roots/list"}}}}),
    );
    let mut live = waiting.await.unwrap();
    for _ in 0..2 {
        let question = live.next().await.unwrap();
        let result = match question["method"].as_str().unwrap() {
            "elicitation/create" => json!({"action": "accept", "content": {"name": "Ada"}}),
            _ => json!({"roots": []}),
        };
        stage.send(within(&token, &session, json!({"id": question["id"], "result": result})).body_of()).await;
    }
    let again = talker.call("a", 2).await;
    let expected = json!({"name": {"action": "accept", "content": {"name": "Ada"}}, "where": {"roots": []}});
    assert_eq!((&again["params"]["inputResponses"], &again["params"]["requestState"]), (&expected, &json!("s1")));
    assert_eq!((&again["params"]["arguments"], &again["params"]["_meta"][ABLE]), (&json!({}), &able));
    talker.answer(&again, "hello");
    let answer = live.next().await.unwrap();
    assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(7), &json!("hello")));
    // What the client cannot give ends the call, and it is told why.
    let waiting = calls(&stage, tool(&token, &session, 8, "a", json!({})));
    let called = talker.call("a", 3).await;
    talker.say(json!({"id": called["id"], "result": {"resultType": "input_required",
        "inputRequests": {"s": {"method": "sampling/createMessage", "params": {}}}}}));
    let answer = waiting.await.unwrap().next().await.unwrap();
    assert!(answer["error"]["message"].as_str().unwrap().contains("does not give"), "{answer}");
}

#[tokio::test]
async fn a_client_that_comes_back_with_nothing_again_and_again_leaves_nothing_behind() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let waiting = calls(&stage, call(&token, 1, "a", json!({})));
    talker.call("a", 1).await;
    talker.asks("q1", "elicitation/create", form());
    let mut state = waiting.await.unwrap().next().await.unwrap()["result"]["requestState"].clone();
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    for n in 0..50 {
        let reply = stage.send(call(&token, 2 + n, "a", json!({"requestState": state})).body_of()).await;
        state = reply.json()["result"]["requestState"].clone();
        assert!(state.is_string(), "{}", reply.text);
    }
    tokio::task::yield_now().await;
    assert!(tasks() <= before + 2, "{} tasks, {before} before", tasks());
}
