//! Calls: routed, bounded in time, recorded.

use super::*;

#[tokio::test]
async fn a_call_reaches_the_server_that_its_name_says() {
    let stage = Stage::new().await;
    let token = stage.full();
    assert_eq!(text_of(&stage.call(&token, "alpha__echo", json!({"text": "1"})).await), "alpha:1");
    assert_eq!(text_of(&stage.call(&token, "beta__echo", json!({"text": "2"})).await), "beta:2");
    let one = stage.ask("/mcp/beta", &token, "tools/call", json!({"name": "echo", "arguments": {"text": "3"}})).await;
    assert_eq!(text_of(&one), "beta:3");
    let seen = stage.seen.lock().unwrap().clone();
    assert!(seen.iter().filter(|line| line.contains("tools/call")).all(|line| line.contains("\"name\":\"echo\"")));
    // The servers were met with a handshake: what says another revision does not reach them.
    assert!(!seen.iter().any(|line| line.contains("io.modelcontextprotocol/protocolVersion")));
    // The token stays here.
    assert!(!seen.iter().any(|line| line.contains(&token[..40])));
}

#[tokio::test]
async fn a_server_without_a_grant_is_as_if_it_were_not_there() {
    let stage = Stage::new().await;
    let token = stage.token(&["alpha.echo"]);
    let params = json!({"name": "echo", "arguments": {}});
    let hidden = stage.ask("/mcp/beta", &token, "tools/call", params.clone()).await;
    let absent = stage.ask("/mcp/gamma", &token, "tools/call", params.clone()).await;
    assert_eq!((hidden.status, absent.status), (StatusCode::NOT_FOUND, StatusCode::NOT_FOUND));
    assert_eq!(hidden.text, absent.text);
    assert_eq!(stage.ask("/mcp/alpha", &token, "tools/call", params).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_slow_call_holds_up_no_other_and_ends_at_its_time() {
    let stage = Arc::new(Stage::with(Settings { call_timeout: Duration::from_secs(3), ..Settings::default() }).await);
    let token = stage.full();
    let (caller, slow) = (stage.clone(), token.clone());
    let slow = tokio::spawn(async move { caller.call(&slow, "alpha__slow", json!({"ms": 60_000})).await });
    while stage.calls() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    for _ in 0..20 {
        assert_eq!(text_of(&stage.call(&token, "alpha__echo", json!({"text": "x"})).await), "alpha:x");
    }
    assert!(!slow.is_finished());
    assert_eq!(slow.await.unwrap().error_code(), Some(-32603));
    let (records, _) = stage.records.take(100);
    assert_eq!(records.last().unwrap().outcome, Outcome::TimedOut);
}

#[tokio::test]
async fn the_end_of_the_capability_ends_a_call_under_way() {
    let stage = Stage::new().await;
    let claims = stage.bearer().claims(vec![stage.grant("alpha", "slow")], now(), Some(now() + 2)).unwrap();
    let token = stage.minter.mint(&claims).unwrap();
    let started = std::time::Instant::now();
    let reply = stage.call(&token, "alpha__slow", json!({"ms": 60_000})).await;
    assert_eq!(reply.error_code(), Some(-32603));
    assert!(started.elapsed() < Duration::from_secs(10));
    assert_eq!(stage.records.take(1).0[0].outcome, Outcome::Expired);
    assert_eq!(stage.call(&token, "alpha__slow", json!({"ms": 0})).await.status, StatusCode::UNAUTHORIZED);
    while !stage.seen.lock().unwrap().iter().any(|line| line.contains("notifications/cancelled")) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_revocation_ends_the_calls_under_way_that_it_is_about() {
    let stage = Arc::new(Stage::new().await);
    let (token, other) = (stage.full(), {
        let mut claims = stage.bearer().claims(vec![stage.grant("alpha", "slow")], now(), None).unwrap();
        claims.sub = format!("agent:{}", AgentId::new());
        stage.minter.mint(&claims).unwrap()
    });
    let slow = |token: String, ms: u64| {
        let stage = stage.clone();
        tokio::spawn(async move { stage.call(&token, "alpha__slow", json!({"ms": ms})).await })
    };
    let (revoked, kept) = (slow(token, 60_000), slow(other, 1_500));
    while stage.calls() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // Hearing of something else ends nothing.
    stage.hear.send(()).unwrap();
    tokio::time::sleep(Duration::from_millis(20)).await;
    assert!(!revoked.is_finished() && !kept.is_finished());

    let list = Revocations { sequence: 2, epochs: [(stage.agent, u64::MAX)].into(), revoked: vec![] };
    stage.verifier.set_revocations(&list, now()).unwrap();
    stage.hear.send(()).unwrap();
    let reply = revoked.await.unwrap();
    assert_eq!(reply.error_code(), Some(-32603));
    assert!(stage.records.take(9).0.iter().any(|record| record.outcome == Outcome::Revoked));
    assert!(kept.await.unwrap().error_code().is_none());
    while !stage.seen.lock().unwrap().iter().any(|line| line.contains("notifications/cancelled")) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_client_that_goes_away_cancels_its_call() {
    let stage = Arc::new(Stage::new().await);
    let (caller, token) = (stage.clone(), stage.full());
    let call = tokio::spawn(async move { caller.call(&token, "alpha__slow", json!({"ms": 60_000})).await });
    while stage.calls() == 0 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    call.abort();
    while !stage.seen.lock().unwrap().iter().any(|line| line.contains("notifications/cancelled")) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    assert_eq!(stage.records.take(1).0[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_server_that_is_gone_is_said_to_be_and_the_others_serve_on() {
    let stage = Stage::new().await;
    let token = stage.full();
    stage.registry.get("alpha").unwrap().connection.close();
    assert_eq!(stage.call(&token, "alpha__echo", json!({})).await.error_code(), Some(-32603));
    assert_eq!(text_of(&stage.call(&token, "beta__echo", json!({"text": "x"})).await), "beta:x");
}

#[tokio::test]
async fn every_call_is_recorded_without_its_arguments() {
    let stage = Stage::new().await;
    let token = stage.token(&["alpha.echo", "alpha.fail"]);
    stage.call(&token, "alpha__echo", json!({"text": "private"})).await;
    stage.call(&token, "alpha__fail", json!({})).await;
    stage.call(&token, "beta__echo", json!({})).await;
    let (records, lost) = stage.records.take(10);
    assert_eq!(lost, 0);
    let told: Vec<_> = records.iter().map(|r| (&*r.server, &*r.tool, r.outcome)).collect();
    assert_eq!(
        told,
        [("alpha", "echo", Outcome::Answered), ("alpha", "fail", Outcome::Failed), ("beta", "echo", Outcome::Refused),]
    );
    assert!(records.iter().all(|record| record.agent == stage.agent));
    let written = serde_json::to_string(&records).unwrap();
    assert!(!written.contains("private"));
    // SHA-256 of {"text":"private"}.
    let digest = ring::digest::digest(&ring::digest::SHA256, br#"{"text":"private"}"#);
    assert_eq!(records[0].arguments, digest.as_ref());
}

#[tokio::test]
async fn arguments_are_recorded_where_their_owner_wants_it_and_then_without_secrets_and_bounded() {
    let stage = Stage::with(Settings { record_arguments: true, ..Settings::default() }).await;
    let token = stage.full();
    stage.call(&token, "alpha__echo", json!({"text": format!("hello {SECRET}")})).await;
    stage.call(&token, "alpha__echo", json!({"text": "ü".repeat(5000)})).await;
    let values: Vec<String> = stage.records.take(10).0.into_iter().map(|one| one.values.unwrap().into()).collect();
    assert_eq!(values[0], r#"{"text":"hello [redacted]"}"#);
    assert!(values[1].len() <= 4096 && values[1].len() > 4000, "{} bytes", values[1].len());
}

#[tokio::test]
async fn what_a_server_has_besides_tools_is_for_those_who_may_do_everything_there() {
    let stage = Stage::new().await;
    let params = json!({"uri": "file:///x"});
    let full = stage.full();
    let reply = stage.ask("/mcp/alpha", &full, "resources/read", params.clone()).await;
    assert_eq!(reply.json()["result"]["contents"][0]["uri"], "file:///x");
    let about = stage.ask("/mcp/alpha", &full, "server/discover", json!({})).await.json();
    assert_eq!(
        about["result"]["capabilities"],
        json!({"tools": {"listChanged": true}, "resources": {"subscribe": true}})
    );
    assert_eq!(about["result"]["instructions"], "be kind");
    // What the server does not know keeps its error, with the status that goes with it.
    let reply = stage.ask("/mcp/alpha", &full, "prompts/list", json!({})).await;
    assert_eq!((reply.status, reply.error_code()), (StatusCode::NOT_FOUND, Some(-32601)));

    let some = stage.token(&["alpha.echo"]);
    let reply = stage.ask("/mcp/alpha", &some, "resources/read", params.clone()).await;
    assert_eq!(reply.error_code(), Some(-32602));
    let mut narrow: Vec<GrantedTool> =
        ["echo", "slow", "leak", "fail"].iter().map(|tool| stage.grant("alpha", tool)).collect();
    narrow[0].args = Some(json!({"type": "object"}));
    let narrow = stage.token_of(narrow);
    assert_eq!(stage.ask("/mcp/alpha", &narrow, "resources/read", params).await.error_code(), Some(-32602));
    assert_eq!(stage.seen.lock().unwrap().iter().filter(|line| line.contains("resources/read")).count(), 1);
}

#[tokio::test]
async fn the_trace_of_a_call_goes_on_to_its_server_and_into_its_record() {
    let stage = Stage::new().await;
    let token = stage.full();
    let good = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    for (trace, kept) in [
        (good, Some("0af7651916cd43dd8448eb211c80319c")),
        ("00-00000000000000000000000000000000-b7ad6b7169203331-01", None),
        ("00-0af7651916cd43dd8448eb211c80319c", None),
        ("not one", None),
    ] {
        let draft = stateless("/mcp", &token, "tools/call", json!({"name": "alpha__echo", "arguments": {}}));
        let mut body: Value = serde_json::from_str(&draft.body).unwrap();
        body["params"]["_meta"]["traceparent"] = trace.into();
        assert_eq!(stage.send(draft.text(body.to_string()).body_of()).await.status, StatusCode::OK);
        assert!(stage.seen.lock().unwrap().last().unwrap().contains(trace));
        let record = stage.records.take(9).0.remove(0);
        assert_eq!(record.trace.map(|trace| trace.to_string()).as_deref(), kept);
    }
}

#[tokio::test]
async fn asking_for_more_is_noted_and_grants_nothing() {
    let stage = Stage::new().await;
    let token = stage.token(&["alpha.echo"]);
    let wish = json!({"need": "read mail", "tools": ["mail.read"], "reason": "the user asked"});
    let reply = stage.call(&token, "need_more_tools", wish).await;
    assert!(text_of(&reply).contains("Nothing has been granted"), "{}", reply.text);
    let requests = stage.requests.take();
    assert_eq!((requests.len(), &*requests[0].need, requests[0].agent), (1, "read mail", stage.agent));
    for bad in [json!({}), json!({"need": " "}), json!({"need": "x".repeat(501)}), json!({"need": "x", "more": 1})] {
        assert_eq!(stage.call(&token, "need_more_tools", bad).await.error_code(), Some(-32602));
    }
    let calls = (0..210).map(|_| stage.call(&token, "need_more_tools", json!({"need": "x"})));
    let replies = futures::future::join_all(calls).await;
    assert_eq!(replies.iter().filter(|reply| reply.json()["result"]["isError"] == true).count(), 10);
    assert_eq!(stage.requests.take().len(), 200);
}

/// The request, and what sends the second half of its body.
fn in_halves(draft: Draft) -> (axum::http::Request<Body>, impl FnOnce()) {
    let (sender, receiver) = tokio::sync::mpsc::unbounded_channel::<String>();
    let (first, second) = draft.body.split_at(draft.body.len() / 2);
    let second = second.to_owned();
    sender.send(first.to_owned()).unwrap();
    let parts = futures::stream::unfold(receiver, |mut receiver| async move {
        receiver.recv().await.map(|part| (Ok::<_, std::convert::Infallible>(part), receiver))
    });
    let request = draft.text("").body_of().map(|_| Body::from_stream(parts));
    (request, move || sender.send(second).unwrap())
}

#[tokio::test]
async fn a_body_that_comes_after_the_capability_is_revoked_reaches_nobody() {
    let stage = Arc::new(Stage::new().await);
    let draft =
        || stateless("/mcp", &stage.full(), "tools/call", json!({"name": "alpha__echo", "arguments": {"text": "x"}}));
    let begin = async |draft: Draft| {
        let (request, rest) = in_halves(draft);
        let stage = stage.clone();
        let reply = tokio::spawn(async move { stage.send(request).await });
        tokio::time::sleep(Duration::from_millis(50)).await;
        (reply, rest)
    };
    // The control: one that is good still.
    let (reply, rest) = begin(draft()).await;
    rest();
    assert_eq!(text_of(&reply.await.unwrap()), "alpha:x");
    let (reply, rest) = begin(draft()).await;
    let list = Revocations { sequence: 2, epochs: [(stage.agent, u64::MAX)].into(), revoked: vec![] };
    stage.verifier.set_revocations(&list, now()).unwrap();
    rest();
    assert_eq!(reply.await.unwrap().status, StatusCode::UNAUTHORIZED);
    assert_eq!(stage.calls(), 1);
}

#[tokio::test]
async fn a_body_without_a_length_holds_only_the_room_that_it_needs() {
    let settings = Settings { max_body: 1 << 16, max_held: 2 << 16, ..Settings::default() };
    let stage = Arc::new(Stage::with(settings).await);
    let token = stage.full();
    let draft = |tool: &str, arguments: Value| {
        stateless("/mcp", &token, "tools/call", json!({"name": tool, "arguments": arguments}))
    };
    // Two that take as long as they may: if they held what they could have needed, there would be no room for a third.
    let mut slow = tokio::task::JoinSet::new();
    for _ in 0..2 {
        let (request, rest) = in_halves(draft("alpha__slow", json!({"ms": 60_000})));
        rest();
        let caller = stage.clone();
        slow.spawn(async move { caller.send(request).await });
    }
    while stage.calls() < 2 {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    let (request, rest) = in_halves(draft("alpha__echo", json!({"text": "x"})));
    rest();
    let reply = tokio::time::timeout(Duration::from_secs(20), stage.send(request)).await.expect("there is room");
    assert_eq!(text_of(&reply), "alpha:x");
    assert!(slow.try_join_next().is_none());
}

#[tokio::test]
async fn answers_that_nobody_reads_are_bounded() {
    let stage = Stage::with(Settings { max_unread: 80_000, ..Settings::default() }).await;
    let token = stage.full();
    let call = |size: usize| {
        let arguments = json!({"name": "alpha__echo", "arguments": {"text": "x".repeat(size)}});
        stateless("/mcp", &token, "tools/call", arguments).body_of()
    };
    // Its client has not read it.
    let unread = stage.endpoint.answer(call(12_000), &somebody()).await;
    let refused = stage.send(call(12_000)).await;
    assert_eq!(refused.error_code(), Some(-32603));
    assert!(refused.text.contains("wait to be read"), "{}", refused.text);
    assert_eq!(text_of(&stage.send(call(100)).await).len(), "alpha:".len() + 100);
    // It costs nobody else anything.
    let other = Bearer { agent: AgentId::new(), ..stage.bearer() };
    let other = stage.minter.mint(&other.claims(vec![stage.grant("alpha", "echo")], now(), None).unwrap()).unwrap();
    let reply = stage.call(&other, "alpha__echo", json!({"text": "x".repeat(12_000)})).await;
    assert_eq!(text_of(&reply).len(), "alpha:".len() + 12_000);
    drop(unread);
    assert_eq!(text_of(&stage.send(call(12_000)).await).len(), "alpha:".len() + 12_000);
}
