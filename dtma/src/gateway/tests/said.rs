//! What a server says before it answers, and what it asks of clients of sessions.

use super::{talk::*, *};

#[tokio::test]
async fn progress_reaches_the_call_that_asked_for_it_under_its_own_token() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let (one, other) = (everything(&stage), of_another(&stage));
    let (first, second) = (session(&stage, &one, json!({})).await, session(&stage, &other, json!({})).await);
    // Two clients that chose the same token, as all that count from one do.
    let a = calls(&stage, tool(&one, &first, 1, "a", json!({"progressToken": "t", "kept/x": [1.50]})));
    let b = calls(&stage, tool(&other, &second, 1, "b", json!({"progressToken": "t"})));
    let (called_a, called_b) = (talker.call("a", 1).await, talker.call("b", 1).await);
    let token = |called: &Value| called["params"]["_meta"]["progressToken"].clone();
    assert_ne!(token(&called_a), token(&called_b));
    assert_eq!(called_a["params"]["_meta"]["kept/x"], json!([1.5]));
    let progress = |token: Value, n: u32| json!({"method": "notifications/progress", "params": {"progressToken": token, "progress": n, "message": SECRET}});
    for invented in [json!("t"), json!(1), json!(u64::MAX)] {
        talker.say(progress(invented, 0));
    }
    talker.say(progress(token(&called_b), 2));
    talker.say(progress(token(&called_a), 1));
    talker.answer(&called_a, "a");
    talker.answer(&called_b, "b");
    for (call, n, text) in [(a, 1, "a"), (b, 2, "b")] {
        let mut live = call.await.unwrap();
        assert!(live.streams());
        let said = live.next().await.unwrap();
        let expected = json!({"progressToken": "t", "progress": n, "message": "[redacted]"});
        assert_eq!((&said["method"], &said["params"]), (&json!("notifications/progress"), &expected));
        let answer = live.next().await.unwrap();
        assert_eq!((&answer["id"], &answer["result"]["content"][0]["text"]), (&json!(1), &json!(text)));
        assert!(live.next().await.is_none());
    }
    let records = stage.records.take(9).0;
    assert_eq!(records.iter().filter(|r| r.outcome == Outcome::Answered).count(), 2);
}

#[tokio::test]
async fn a_call_of_which_nothing_is_said_is_answered_in_json() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let session = session(&stage, &token, json!({"sampling": {}})).await;
    let call = calls(&stage, tool(&token, &session, 1, "a", json!({"progressToken": 5})));
    talker.answer(&talker.call("a", 1).await, "done");
    let mut live = call.await.unwrap();
    assert!(!live.streams());
    assert_eq!(live.next().await.unwrap()["result"]["content"][0]["text"], "done");
    // A client that takes no stream gets none, and its token still meets no other's.
    let deaf = tool(&token, &session, 2, "a", json!({"progressToken": 5})).set("accept", "application/json");
    let call = calls(&stage, deaf);
    let called = talker.call("a", 2).await;
    let own = called["params"]["_meta"]["progressToken"].clone();
    assert_ne!(own, 5);
    talker.say(json!({"method": "notifications/progress", "params": {"progressToken": own, "progress": 1}}));
    talker.answer(&called, "done");
    assert!(!call.await.unwrap().streams());
}

#[tokio::test]
async fn a_question_goes_to_the_client_of_the_call_and_its_answer_back() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let (token, other) = (everything(&stage), of_another(&stage));
    let abilities = json!({"sampling": {}, "elicitation": {"url": {}}, "roots": {}});
    let mine = session(&stage, &token, abilities).await;
    let theirs = session(&stage, &other, json!({"sampling": {}})).await;
    let call = calls(&stage, tool(&token, &mine, 1, "a", json!({})));
    let called = talker.call("a", 1).await;
    let asked = json!({"messages": [], "maxTokens": 5, "_meta": {"vendor/x": 1}, "vendor": SECRET});
    talker.asks("q1", "sampling/createMessage", asked);
    let mut live = call.await.unwrap();
    let question = live.next().await.unwrap();
    assert_eq!(question["method"], "sampling/createMessage");
    assert_eq!(
        question["params"],
        json!({"messages": [], "maxTokens": 5, "_meta": {"vendor/x": 1}, "vendor": "[redacted]"})
    );
    // Neither another session nor a session of another agent can answer it; nothing answers it twice.
    let answer = |token: &str, session: &str, text: &str| {
        let body = json!({"id": question["id"], "result": {"role": "assistant", "content": text}});
        stage.send(within(token, session, body).body_of())
    };
    let second = session(&stage, &token, json!({})).await;
    assert_eq!(answer(&token, &second, "wrong").await.status, StatusCode::ACCEPTED);
    assert_eq!(answer(&other, &theirs, "wrong").await.status, StatusCode::ACCEPTED);
    assert_eq!(answer(&other, &mine, "wrong").await.status, StatusCode::NOT_FOUND);
    assert_eq!(answer(&token, &mine, "right").await.status, StatusCode::ACCEPTED);
    assert_eq!(answer(&token, &mine, "late").await.status, StatusCode::ACCEPTED);
    let heard = talker.hears(|message| message["id"] == "q1").await;
    assert_eq!(heard["result"]["content"], "right");

    // An error is an answer, too; what is withdrawn is not asked any more.
    talker.asks("q2", "elicitation/create", json!({"mode": "url", "url": "https://example.com", "message": "m"}));
    let question = live.next().await.unwrap();
    let refusal = json!({"id": question["id"], "error": {"code": -1, "message": "no", "data": [1]}});
    stage.send(within(&token, &mine, refusal).body_of()).await;
    assert_eq!(talker.hears(|message| message["id"] == "q2").await["error"]["data"], json!([1]));
    talker.asks("q3", "roots/list", json!({}));
    let question = live.next().await.unwrap();
    talker.say(json!({"method": "notifications/cancelled", "params": {"requestId": "q3"}}));
    let withdrawn = live.next().await.unwrap();
    assert_eq!(
        (&withdrawn["method"], &withdrawn["params"]["requestId"]),
        (&json!("notifications/cancelled"), &question["id"])
    );
    talker.answer(&called, "done");
    assert_eq!(live.next().await.unwrap()["result"]["content"][0]["text"], "done");
    tokio::time::sleep(Duration::from_millis(20)).await;
    let heard: Vec<Value> = talker.heard_answers();
    assert_eq!(heard.iter().filter(|m| m["id"] == "q1").count(), 1);
    assert!(!heard.iter().any(|m| m["id"] == "q3"));
}

#[tokio::test]
async fn a_question_that_could_be_for_two_callers_reaches_nobody() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let (one, other) = (everything(&stage), of_another(&stage));
    let able = json!({"elicitation": {}});
    let (first, second) = (session(&stage, &one, able.clone()).await, session(&stage, &other, able).await);
    let ask = |id: &str| ask_name(&talker, id);
    ask("idle");
    assert!(talker.hears(|m| m["id"] == "idle").await["error"]["message"].as_str().unwrap().contains("no call"));
    let a = calls(&stage, tool(&one, &first, 1, "a", json!({})));
    let called_a = talker.call("a", 1).await;
    let b = calls(&stage, tool(&other, &second, 1, "b", json!({})));
    let called_b = talker.call("b", 1).await;
    ask("both");
    assert!(
        talker.hears(|m| m["id"] == "both").await["error"]["message"].as_str().unwrap().contains("several callers")
    );
    talker.say(json!({"method": "notifications/message", "params": {"level": "error", "data": "of whom?"}}));
    talker.answer(&called_a, "a");
    // Neither heard of it: without anything said, the answers are JSON.
    assert!(!a.await.unwrap().streams());
    // With one call left it is clear again.
    ask("one");
    let mut live = b.await.unwrap();
    assert_eq!(live.next().await.unwrap()["method"], "elicitation/create");
    // The call ends before the answer: the server is not left waiting.
    drop(live);
    let end = talker.hears(|m| m["id"] == "one").await;
    assert!(end["error"]["message"].as_str().unwrap().contains("withdrawn"));
    let gone = talker.hears(|m| m["method"] == "notifications/cancelled").await;
    assert_eq!(gone["params"]["requestId"], called_b["id"]);
}

#[tokio::test]
async fn with_several_calls_of_one_session_its_client_is_asked() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let mine = session(&stage, &token, json!({"elicitation": {}})).await;
    let ask = |id: &str| ask_name(&talker, id);
    let a = calls(&stage, tool(&token, &mine, 1, "a", json!({})));
    let called_a = talker.call("a", 1).await;
    let b = calls(&stage, tool(&token, &mine, 2, "b", json!({})));
    let called_b = talker.call("b", 1).await;
    ask("q1");
    let mut live = b.await.unwrap();
    let question = live.next().await.unwrap();
    let answer = json!({"id": question["id"], "result": {"action": "accept", "content": {"name": "Ada"}}});
    stage.send(within(&token, &mine, answer).body_of()).await;
    assert_eq!(talker.hears(|m| m["id"] == "q1").await["result"]["content"]["name"], "Ada");
    // It was the other call's, which waits on: the server learns that nobody answers.
    ask("q2");
    live.next().await.unwrap();
    talker.answer(&called_b, "b");
    assert_eq!(live.next().await.unwrap()["result"]["content"][0]["text"], "b");
    let end = talker.hears(|m| m["id"] == "q2").await;
    assert!(end["error"]["message"].as_str().unwrap().contains("answered meanwhile"), "{end}");
    // Asked once more, it is the other's.
    ask("q3");
    let mut live = a.await.unwrap();
    assert_eq!(live.next().await.unwrap()["method"], "elicitation/create");
    talker.answer(&called_a, "a");
    assert_eq!(live.next().await.unwrap()["result"]["content"][0]["text"], "a");
    // Two sessions of one agent are two clients.
    let mut open = Vec::new();
    for count in 2..=3 {
        let other = session(&stage, &token, json!({"elicitation": {}})).await;
        open.push(calls(&stage, tool(&token, &other, 1, "a", json!({}))));
        talker.call("a", count).await;
    }
    ask("q4");
    let end = talker.hears(|m| m["id"] == "q4").await;
    assert!(end["error"]["message"].as_str().unwrap().contains("several callers"), "{end}");
}

fn ask_name(talker: &Talker, id: &str) {
    talker.asks(id, "elicitation/create", json!({"message": "your name?", "requestedSchema": {}}));
}

#[tokio::test]
async fn a_client_is_asked_only_what_it_said_that_it_can() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let form = json!({"message": "m", "requestedSchema": {}});
    let url = json!({"mode": "url", "url": "https://example.com", "message": "m"});
    let plain = json!({"messages": [], "maxTokens": 1});
    let tools = json!({"messages": [], "maxTokens": 1, "tools": []});
    let questions = [
        ("sampling/createMessage", plain),
        ("sampling/createMessage", tools),
        ("elicitation/create", form),
        ("elicitation/create", url),
        ("roots/list", json!({})),
    ];
    for (n, (abilities, can)) in [
        (json!({}), [false; 5]),
        (json!({"sampling": {}}), [true, false, false, false, false]),
        (json!({"sampling": {"tools": {}}}), [true, true, false, false, false]),
        (json!({"elicitation": {}}), [false, false, true, false, false]),
        (json!({"elicitation": {"form": {}}}), [false, false, true, false, false]),
        (json!({"elicitation": {"url": {}}, "roots": {}}), [false, false, false, true, true]),
    ]
    .into_iter()
    .enumerate()
    {
        let session = session(&stage, &token, abilities.clone()).await;
        let call = calls(&stage, tool(&token, &session, 1, "a", json!({"progressToken": 1})));
        let called = talker.call("a", n + 1).await;
        for (k, (method, params)) in questions.iter().enumerate() {
            talker.asks(&format!("{n}/{k}"), method, params.clone());
        }
        for (k, can) in can.iter().enumerate() {
            let id = format!("{n}/{k}");
            if !can {
                assert_eq!(talker.hears(|m| m["id"] == id).await["error"]["code"], -32601);
            }
        }
        talker.answer(&called, "done");
        let mut live = call.await.unwrap();
        let mut asked = 0;
        while live.next().await.unwrap()["result"].is_null() {
            asked += 1;
        }
        assert_eq!(asked, can.iter().filter(|can| **can).count(), "{abilities}");
    }
    // The server was met as if some client could all of it.
    let met = talker.hears(|message| message["method"] == "initialize").await;
    assert!(met["params"]["capabilities"]["elicitation"]["url"].is_object());
}

#[tokio::test]
async fn what_nobody_takes_is_bounded() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let session = session(&stage, &token, json!({})).await;
    let draft = tool(&token, &session, 1, "a", json!({"progressToken": 1}));
    let waiting = tokio::spawn(stage.endpoint.answer(draft.body_of(), &somebody()));
    let called = talker.call("a", 1).await;
    let token = &called["params"]["_meta"]["progressToken"];
    let large = "x".repeat(400 << 10);
    for n in 0..100 {
        let params = json!({"progressToken": token, "progress": n, "message": large});
        talker.say(json!({"method": "notifications/progress", "params": params}));
    }
    talker.answer(&called, "done");
    // The client has the head and does not read on; the server was heard to its end.
    let body = waiting.await.unwrap().into_body();
    let connection = stage.registry.get("talker").unwrap().connection.clone();
    while connection.in_flight() > 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let all = body.collect().await.unwrap().to_bytes();
    assert!(all.len() < 18 << 20, "{}", all.len());
    assert!(std::str::from_utf8(&all).unwrap().contains("\"done\""));
}

#[tokio::test]
async fn questions_are_bounded() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, older()).await;
    let token = everything(&stage);
    let session = session(&stage, &token, json!({"roots": {}})).await;
    let call = calls(&stage, tool(&token, &session, 1, "a", json!({})));
    let called = talker.call("a", 1).await;
    for n in 0..200 {
        talker.asks(&format!("q{n}"), "roots/list", json!({}));
    }
    talker.hears(|m| m["id"] == "q199" && m["error"]["message"].as_str().unwrap().contains("too many")).await;
    talker.answer(&called, "done");
    let mut live = call.await.unwrap();
    let mut asked = 0;
    while live.next().await.unwrap()["result"].is_null() {
        asked += 1;
    }
    assert_eq!(asked, 32);
}

#[tokio::test]
async fn a_call_that_waits_for_its_turn_can_be_cancelled_and_revoked() {
    let stage = Arc::new(Stage::new().await);
    let talker = Talker::enter(&stage, Character { at_once: 1, ..older() }).await;
    let token = everything(&stage);
    let session = session(&stage, &token, json!({})).await;
    // With a token for its progress, so that it is one that is listened to.
    let begin = |id: u32| calls(&stage, tool(&token, &session, id, "a", json!({"progressToken": id})));
    let first = begin(1);
    talker.call("a", 1).await;
    let second = begin(2);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let cancel = json!({"method": "notifications/cancelled", "params": {"requestId": 2}});
    stage.send(within(&token, &session, cancel).body_of()).await;
    assert_eq!(second.await.unwrap().next().await.unwrap()["error"]["message"], "cancelled");
    let third = begin(3);
    tokio::time::sleep(Duration::from_millis(50)).await;
    let list = Revocations { sequence: 2, epochs: [(stage.agent, u64::MAX)].into(), revoked: vec![] };
    stage.verifier.set_revocations(&list, now()).unwrap();
    stage.hear.send(()).unwrap();
    for revoked in [third, first] {
        let answer = revoked.await.unwrap().next().await.unwrap();
        assert!(answer["error"]["message"].as_str().unwrap().contains("revoked"), "{answer}");
    }
    assert_eq!(talker.all("tools/call").len(), 1, "who waited was never given to it");
}
