//! Over real sockets, many at once, and by somebody else's client.

use super::*;
use tokio::{net::TcpListener, sync::oneshot, task::JoinSet};

async fn listen(stage: &Stage) -> (String, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    tokio::spawn(serve(Front::plain(listener).unwrap(), stage.router.clone(), shutdown, Duration::from_millis(100)));
    (url, stop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sixty_four_callers_get_their_own_answers() {
    let stage = Stage::new().await;
    let (url, _stop) = listen(&stage).await;
    let (http, token) = (reqwest::Client::new(), stage.full());
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let client = mcp::client::Client::new(http.clone(), url.clone(), token.clone());
        callers.spawn(async move {
            for call in 0..20 {
                let tag = format!("{caller}/{call}");
                let tool = if call % 5 == 0 { "alpha__slow" } else { "alpha__echo" };
                let result = client.call(tool, &json!({"text": tag, "ms": (caller * 7 + call) % 30})).await.unwrap();
                assert_eq!(result.text(), format!("alpha:{tag}"));
                assert_eq!(result.result_type, "complete");
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    let alpha = stage.registry.get("alpha").unwrap();
    assert_eq!(alpha.connection.in_flight(), 0);
    assert_eq!(alpha.connection.counters().unknown.load(std::sync::atomic::Ordering::Relaxed), 0);
}

#[tokio::test]
async fn sixty_four_slow_calls_run_side_by_side() {
    let stage = Stage::new().await;
    let (url, _stop) = listen(&stage).await;
    let client = Arc::new(mcp::client::Client::new(reqwest::Client::new(), url, stage.full()));
    let started = std::time::Instant::now();
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        calls.spawn(async move { client.call("alpha__slow", &json!({"ms": 300})).await.map(drop) });
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    // One after the other they would take 19 seconds.
    assert!(started.elapsed() < Duration::from_secs(3), "{:?}", started.elapsed());
}

#[tokio::test]
async fn our_own_client_lists_calls_and_understands_refusals() {
    let stage = Stage::new().await;
    let (url, _stop) = listen(&stage).await;
    let http = reqwest::Client::new();
    let client = mcp::client::Client::new(http.clone(), url.clone(), stage.token(&["alpha.echo"]));
    let tools = client.tools().await.unwrap();
    assert_eq!(tools[0]["name"], "alpha__echo");
    let result = client.call("alpha__echo", &json!({"text": "größer"})).await.unwrap();
    assert_eq!(result.text(), "alpha:größer");
    assert_eq!(result.other["vendor/x"], json!([1.5]));
    assert!(matches!(client.call("beta__echo", &json!({})).await, Err(mcp::Error::Rpc { code: -32602, .. })));
    let stranger = mcp::client::Client::new(http, url, "nobody");
    assert!(matches!(stranger.tools().await, Err(mcp::Error::Status { status: 401, .. })));
}

/// On one kept connection, where a token that was just verified is not hashed again.
#[tokio::test]
async fn a_kept_connection_keeps_no_permission() {
    let stage = Stage::new().await;
    let (url, _stop) = listen(&stage).await;
    let http = reqwest::Client::builder().pool_max_idle_per_host(1).build().unwrap();
    let client = |token: &str| mcp::client::Client::new(http.clone(), url.clone(), token);
    let (wide, narrow) = (stage.full(), stage.token(&["alpha.echo"]));
    let refused = |result: Result<_, mcp::Error>, code| match result {
        Err(mcp::Error::Status { status, .. }) => assert_eq!(i64::from(status), code),
        Err(mcp::Error::Rpc { code: found, .. }) => assert_eq!(found, code),
        other => panic!("not refused: {other:?}"),
    };
    for _ in 0..3 {
        client(&wide).call("beta__echo", &json!({})).await.unwrap();
        refused(client(&narrow).call("beta__echo", &json!({})).await, -32602);
        refused(client("nobody").call("beta__echo", &json!({})).await, 401);
    }
    let list = Revocations { sequence: 2, epochs: BTreeMap::from([(stage.agent, 2)]), revoked: vec![] };
    stage.verifier.set_revocations(&list, now()).unwrap();
    refused(client(&wide).call("beta__echo", &json!({})).await, 401);
}

#[tokio::test]
async fn large_bodies_pass_whole() {
    let stage = Stage::new().await;
    let (url, _stop) = listen(&stage).await;
    let client = mcp::client::Client::new(reqwest::Client::new(), url, stage.full());
    let text = "äx\"\\\n".repeat(100_000);
    let result = client.call("alpha__echo", &json!({"text": text})).await.unwrap();
    assert!(result.text() == format!("alpha:{text}"));
    let over = "x".repeat(5 << 20);
    let refused = client.call("alpha__echo", &json!({"text": over})).await;
    assert!(matches!(refused, Err(mcp::Error::Status { status: 413, .. } | mcp::Error::Http(_))), "{refused:?}");
}

#[tokio::test]
async fn serving_ends_when_it_is_told_to() {
    let stage = Stage::new().await;
    let (url, stop) = listen(&stage).await;
    let client = mcp::client::Client::new(reqwest::Client::new(), url, stage.full());
    client.tools().await.unwrap();
    stop.send(()).unwrap();
    let until = std::time::Instant::now() + Duration::from_secs(5);
    while client.tools().await.is_ok() {
        assert!(std::time::Instant::now() < until);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
