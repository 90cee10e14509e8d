//! Over real sockets, many at once, and by somebody else's client.

use super::*;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::oneshot,
    task::JoinSet,
};

async fn listen(stage: &Stage) -> (String, oneshot::Sender<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let shutdown = async move { drop(stopped.await) };
    tokio::spawn(serve(Front::plain(listener).unwrap(), stage.endpoint.clone(), shutdown, Duration::from_millis(100)));
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
    let mut calls = JoinSet::new();
    for _ in 0..64 {
        let client = client.clone();
        calls.spawn(async move { client.call("alpha__slow", &json!({"ms": 5000})).await.map(drop) });
    }
    let alpha = stage.registry.get("alpha").unwrap();
    let all_at_once = async {
        while alpha.connection.in_flight() < 64 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), all_at_once).await.expect("none waits for another");
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
}

/// Over a socket, as a client sends it: its length is claimed in the head, and nothing of it follows.
#[tokio::test]
async fn a_hundred_megabytes_are_refused_before_the_first_of_them() {
    let stage = Stage::new().await;
    let (url, _stop) = listen(&stage).await;
    let (address, token) = (url.split('/').nth(2).unwrap().to_owned(), stage.full());
    let ask = async |length: usize, body: &str| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        let head = format!(
            "POST /mcp HTTP/1.1\r\nhost: {address}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        let read = tokio::time::timeout(Duration::from_secs(5), stream.read_exact(&mut answer)).await;
        read.expect("it does not wait for the body").unwrap();
        String::from_utf8_lossy(&answer).into_owned()
    };
    assert_eq!(ask(100_000_000, "").await, "HTTP/1.1 413");
    // The positive control: a body that is as long as it says is read, here to find out that it is no message.
    assert_eq!(ask(2, "{}").await, "HTTP/1.1 400");
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_does_not_read_is_left() {
    const EACH: usize = 3 << 20;
    let stage = Stage::with(Settings { stuck: Duration::from_secs(2), ..Settings::default() }).await;
    let (url, _stop) = listen(&stage).await;
    let address = url.trim_start_matches("http://").trim_end_matches("/mcp").to_owned();
    let arguments = json!({"name": "alpha__echo", "arguments": {"text": "x".repeat(EACH)}});
    let Draft { headers, body, .. } = stateless("/mcp", &stage.full(), "tools/call", arguments);
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!("POST /mcp HTTP/1.1\r\n{headers}content-length: {}\r\n\r\n{body}", body.len());
    // Much more than all buffers between the two hold.
    let begin = async || {
        let (reader, mut writer) = TcpStream::connect(&address).await.unwrap().into_split();
        let requests = request.repeat(6);
        let writing = tokio::spawn(async move { writer.write_all(requests.as_bytes()).await.map(|()| writer) });
        (reader, writing)
    };
    // The control: whoever reads gets all of it.
    let (mut reader, _writing) = begin().await;
    let (mut read, mut chunk) = (0, vec![0; 1 << 16]);
    while read <= 6 * EACH {
        let some = tokio::time::timeout(Duration::from_secs(60), reader.read(&mut chunk)).await;
        read += some.expect("it goes on").unwrap();
    }
    let (_reader, writing) = begin().await;
    let ended = tokio::time::timeout(Duration::from_secs(60), writing).await.expect("it is left").unwrap();
    assert!(ended.is_err());
}
