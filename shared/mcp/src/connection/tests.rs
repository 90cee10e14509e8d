use super::*;
use crate::{Version, code};
use serde_json::{Value, json};
use std::sync::Mutex;
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, duplex},
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep},
};

/// A server in this process: it sees each message and says lines.
struct Server {
    say: mpsc::UnboundedSender<String>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn heard(&self, what: &str) -> bool {
        self.seen.lock().unwrap().iter().any(|line| line.contains(what))
    }

    async fn hears(&self, what: &str) {
        let until = Instant::now() + Duration::from_secs(5);
        while !self.heard(what) {
            assert!(Instant::now() < until, "never heard {what}: {:?}", self.seen.lock().unwrap());
            sleep(Duration::from_millis(2)).await;
        }
    }
}

type Says = mpsc::UnboundedSender<String>;

fn server(mut act: impl FnMut(&Value, &Says) + Send + 'static) -> (Server, DuplexStream, DuplexStream) {
    let (ours, theirs) = (duplex(1 << 16), duplex(1 << 16));
    let (say, mut said) = mpsc::unbounded_channel::<String>();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let (their_output, their_input) = (theirs.0, ours.1);
    let mut their_output = their_output;
    tokio::spawn(async move {
        while let Some(line) = said.recv().await {
            if line == "EOF" || their_output.write_all(format!("{line}\n").as_bytes()).await.is_err() {
                break;
            }
        }
    });
    let (log, says) = (seen.clone(), say.clone());
    tokio::spawn(async move {
        let mut lines = BufReader::new(their_input).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            log.lock().unwrap().push(line.clone());
            if let Ok(message) = serde_json::from_str::<Value>(&line) {
                act(&message, &says);
            }
        }
    });
    (Server { say, seen }, theirs.1, ours.0)
}

fn result(message: &Value, result: Value) -> String {
    json!({"jsonrpc": "2.0", "id": message["id"], "result": result}).to_string()
}

fn error(message: &Value, code: i64) -> String {
    json!({"jsonrpc": "2.0", "id": message["id"], "error": {"code": code, "message": "no"}}).to_string()
}

fn initialized(message: &Value) -> Option<String> {
    (message["method"] == "initialize").then(|| {
        result(
            message,
            json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}}, "serverInfo": {"name": "fake"}}),
        )
    })
}

/// Answers `initialize`, and whatever else as told.
async fn opened(mut act: impl FnMut(&Value, &Says) + Send + 'static, options: Options) -> (Server, Connection) {
    let (server, reader, writer) = server(move |message, says| match initialized(message) {
        Some(line) => drop(says.send(line)),
        None => act(message, says),
    });
    let connection = Connection::open(reader, writer, options).await.unwrap();
    (server, connection)
}

fn quick() -> Options {
    Options { call: Duration::from_secs(5), handshake: Duration::from_secs(5), ..Options::default() }
}

#[tokio::test]
async fn agrees_with_a_server_of_sessions() {
    let (server, connection) = opened(|_, _| {}, quick()).await;
    assert_eq!(connection.peer().version, Version::V2025_11_25);
    assert_eq!(connection.peer().info["name"], "fake");
    assert!(connection.peer().offers("tools") && !connection.peer().offers("prompts"));
    server.hears("notifications/initialized").await;
}

#[tokio::test]
async fn agrees_with_a_stateless_server_and_gives_it_the_version_each_time() {
    let (server, reader, writer) = server(|message, says| {
        let line = match message["method"].as_str() {
            Some("server/discover")
                if message["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] != "2026-07-28" =>
            {
                error(message, -32022)
            }
            Some("server/discover") => result(
                message,
                json!({"resultType": "complete", "supportedVersions": ["2026-07-28"], "capabilities": {},
                       "_meta": {"io.modelcontextprotocol/serverInfo": {"name": "modern"}}}),
            ),
            Some("initialize") => error(message, -32022),
            _ => result(message, json!({"seen": message["params"]["_meta"]})),
        };
        says.send(line).unwrap();
    });
    let connection = Connection::open(reader, writer, quick()).await.unwrap();
    assert_eq!(connection.peer().version, Version::V2026_07_28);
    assert_eq!(connection.peer().info["name"], "modern");
    let answer = connection.request("x", &json!({"a": 1})).await.unwrap();
    assert!(answer.get().contains("\"io.modelcontextprotocol/protocolVersion\":\"2026-07-28\""), "{answer}");
    assert!(!server.heard("notifications/initialized"));
}

#[tokio::test]
async fn a_server_that_is_initialised_already_is_taken_up_again_or_not() {
    let refusing = || {
        server(|message, says| {
            says.send(match message["method"].as_str() {
                Some("initialize" | "server/discover") => error(message, -32600),
                _ => result(message, json!({})),
            })
            .unwrap();
        })
    };
    let known = Peer { version: Version::V2025_06_18, ..Peer::default() };
    let (server, reader, writer) = refusing();
    let resume = Options { resume: true, known: Some(known.clone()), ..quick() };
    let connection = Connection::open(reader, writer, resume).await.unwrap();
    assert_eq!(*connection.peer(), known);
    // It starts by ending a line that the peer before may have left.
    assert_eq!(server.seen.lock().unwrap()[0], "");
    let (_server, reader, writer) = refusing();
    assert!(matches!(Connection::open(reader, writer, quick()).await, Err(Error::NotMcp(_))));
}

#[tokio::test]
async fn torn_lines_and_answers_to_others_are_dropped_and_counted() {
    let (server, connection) = opened(
        |message, says| {
            if message["method"] == "x" {
                let id = message["id"].as_u64().unwrap();
                for line in [
                    "\",\"torn\":1}".into(),
                    json!({"jsonrpc": "2.0", "id": id + 1, "result": {"of": "another"}}).to_string(),
                    json!({"jsonrpc": "2.0", "id": id.to_string(), "result": {"of": "a string"}}).to_string(),
                    json!({"jsonrpc": "2.0", "id": null, "error": {"code": 1, "message": ""}}).to_string(),
                    result(message, json!({"ours": true})),
                    result(message, json!({"ours": "again"})),
                    String::new(),
                ] {
                    says.send(line).unwrap();
                }
            }
        },
        quick(),
    )
    .await;
    let answer = connection.request("x", &json!({})).await.unwrap();
    assert_eq!(answer.get(), r#"{"ours":true}"#);
    server.say.send(json!({"jsonrpc": "2.0", "method": "end"}).to_string()).unwrap();
    let mut events = connection.events();
    server.say.send(json!({"jsonrpc": "2.0", "method": "end"}).to_string()).unwrap();
    events.recv().await.unwrap();
    assert_eq!(connection.counters().unknown.load(Relaxed), 4);
    assert_eq!(connection.counters().garbage.load(Relaxed), 1);
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test]
async fn what_a_server_asks_of_us_is_refused_and_its_pings_answered() {
    let (server, _connection) = opened(|_, _| {}, quick()).await;
    server.say.send(json!({"jsonrpc": "2.0", "id": 7, "method": "ping"}).to_string()).unwrap();
    for (id, method) in [("s", "sampling/createMessage"), ("t", "tasks/list")] {
        server.say.send(json!({"jsonrpc": "2.0", "id": id, "method": method}).to_string()).unwrap();
    }
    server.hears(r#""id":7,"result":{}"#).await;
    // There is nobody whom it could be about.
    server.hears(&format!(r#""id":"s","error":{{"code":{}"#, code::INTERNAL)).await;
    server.hears(&format!(r#""id":"t","error":{{"code":{}"#, code::METHOD_NOT_FOUND)).await;
}

#[tokio::test]
async fn tells_of_changed_lists() {
    let (server, connection) = opened(|_, _| {}, quick()).await;
    let mut events = connection.events();
    server.say.send(json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}).to_string()).unwrap();
    assert!(matches!(events.recv().await, Ok(Event::ListChanged("tools"))));
}

#[tokio::test]
async fn a_slow_call_holds_up_nobody_and_is_cancelled_when_its_time_is_over() {
    let act = |message: &Value, says: &Says| {
        if message["method"] == "fast" {
            says.send(result(message, json!({}))).unwrap();
        }
    };
    let (server, connection) = opened(act, quick()).await;
    let slow = connection.clone();
    let slow = tokio::spawn(async move { slow.request_within("slow", &json!({}), Duration::from_secs(3)).await });
    server.hears("slow").await;
    for _ in 0..100 {
        connection.request("fast", &json!({})).await.unwrap();
    }
    assert!(!slow.is_finished());
    assert!(matches!(slow.await.unwrap(), Err(Error::TimedOut(_))));
    server.hears("notifications/cancelled").await;
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test]
async fn a_caller_that_goes_away_cancels_its_call() {
    let (server, connection) = opened(|_, _| {}, quick()).await;
    let caller = connection.clone();
    let call = tokio::spawn(async move { caller.request("slow", &json!({})).await.map(drop) });
    server.hears("slow").await;
    assert!(!server.heard("notifications/cancelled"));
    call.abort();
    server.hears("notifications/cancelled").await;
    assert_eq!(connection.in_flight(), 0);
}

#[tokio::test]
async fn a_line_that_is_too_long_fails_its_call_and_no_other() {
    let act = |message: &Value, says: &Says| {
        let size = message["params"]["size"].as_u64().unwrap_or(0) as usize;
        says.send(result(message, json!({"pad": "x".repeat(size)}))).unwrap();
    };
    let (_server, connection) = opened(act, Options { max_line: 100_000, ..quick() }).await;
    for size in [10, 99_000, 200_000, 3_000_000, 10] {
        let answer = connection.request("x", &json!({"size": size})).await;
        match size {
            200_000.. => assert!(matches!(answer, Err(Error::BadAnswer(_))), "{size}"),
            _ => assert_eq!(answer.unwrap().get().len(), size + 10),
        }
    }
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_fails_its_call_at_once() {
    let act = |message: &Value, says: &Says| {
        let id = &message["id"];
        says.send(format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{{"a":1,"a":2}}}}"#)).unwrap();
    };
    let (_server, connection) = opened(act, quick()).await;
    assert!(matches!(connection.request("x", &json!({})).await, Err(Error::BadAnswer(_))));
}

#[tokio::test]
async fn further_calls_wait_until_there_is_room() {
    let waiting = Arc::new(Mutex::new(Vec::new()));
    let gathered = waiting.clone();
    let act = move |message: &Value, _: &Says| {
        if message["method"] == "x" {
            gathered.lock().unwrap().push(message.clone());
        }
    };
    let (server, connection) = opened(act, Options { in_flight: 2, ..quick() }).await;
    let mut calls = JoinSet::new();
    for _ in 0..5 {
        let connection = connection.clone();
        calls.spawn(async move { connection.request("x", &json!({})).await.map(drop) });
    }
    while waiting.lock().unwrap().len() < 2 {
        sleep(Duration::from_millis(2)).await;
    }
    sleep(Duration::from_millis(50)).await;
    assert_eq!(waiting.lock().unwrap().len(), 2);
    for answered in 0..5 {
        while waiting.lock().unwrap().len() <= answered {
            sleep(Duration::from_millis(2)).await;
        }
        let message = waiting.lock().unwrap()[answered].clone();
        server.say.send(result(&message, json!({}))).unwrap();
    }
    while let Some(call) = calls.join_next().await {
        call.unwrap().unwrap();
    }
    let most = 1000;
    let (_server, connection) = opened(|_, _| {}, Options { in_flight_bytes: most, ..quick() }).await;
    let large = connection.request("x", &json!({"pad": "x".repeat(most)})).await;
    assert!(matches!(large, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn the_end_of_the_server_fails_whoever_waits() {
    let (server, connection) = opened(|_, _| {}, quick()).await;
    let caller = connection.clone();
    let call = tokio::spawn(async move { caller.request("x", &json!({})).await.map(drop) });
    server.hears("\"x\"").await;
    assert!(!connection.is_closed());
    server.say.send("EOF".into()).unwrap();
    connection.closed().await;
    assert!(matches!(call.await.unwrap(), Err(Error::Closed)));
    assert!(matches!(connection.request("x", &json!({})).await, Err(Error::Closed)));
}

#[tokio::test]
async fn the_last_clone_ends_the_servers_input() {
    let (_server, reader, mut writer) = {
        let (server, reader, writer) = server(|message, says| drop(initialized(message).map(|line| says.send(line))));
        (server, reader, writer)
    };
    // What the connection writes comes out of the other half of this pipe.
    let (ours, mut theirs) = duplex(1 << 16);
    let copy = tokio::spawn(async move { tokio::io::copy(&mut theirs, &mut writer).await });
    let connection = Connection::open(reader, ours, quick()).await.unwrap();
    let clone = connection.clone();
    drop(connection);
    assert!(!clone.is_closed());
    drop(clone);
    timeout(Duration::from_secs(5), copy).await.unwrap().unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_answer_crosses() {
    // Answers in another order than the requests: gathered, and said backwards every two milliseconds.
    let held = Arc::new(Mutex::new(Vec::new()));
    let gathered = held.clone();
    let act = move |message: &Value, _: &Says| {
        if message["method"] == "echo" {
            gathered.lock().unwrap().push(result(message, json!({"tag": message["params"]["tag"]})));
        }
    };
    let (server, connection) = opened(act, quick()).await;
    let says = server.say.clone();
    tokio::spawn(async move {
        loop {
            sleep(Duration::from_millis(2)).await;
            let lines: Vec<String> = held.lock().unwrap().drain(..).rev().collect();
            lines.into_iter().for_each(|line| drop(says.send(line)));
        }
    });
    let mut callers = JoinSet::new();
    for caller in 0..64 {
        let connection = connection.clone();
        callers.spawn(async move {
            for call in 0..50 {
                let tag = format!("{caller}-{call}");
                let answer = connection.request("echo", &json!({"tag": tag})).await.unwrap();
                assert_eq!(answer.get(), format!("{{\"tag\":\"{tag}\"}}"));
            }
        });
    }
    while let Some(caller) = callers.join_next().await {
        caller.unwrap();
    }
    assert_eq!(connection.counters().unknown.load(Relaxed), 0);
}

fn definition(name: &str) -> Value {
    json!({"name": name, "description": "does it", "inputSchema": {"type": "object"}})
}

#[tokio::test]
async fn lists_tools_over_pages_and_leaves_out_what_is_not_acceptable() {
    let act = |message: &Value, says: &Says| {
        let page = match message["params"]["cursor"].as_str() {
            None => json!({"nextCursor": "2", "tools": [
                definition("echo"), definition("twice"), definition("need_more_tools"), definition("call_tool"),
                definition("spa ce"), definition("unseen\u{200b}"), definition(""), {"name": "no_schema"}]}),
            Some(_) => json!({"tools": [definition("add"), definition("twice")]}),
        };
        if message["method"] == "tools/list" {
            says.send(result(message, page)).unwrap();
        }
    };
    let (_server, connection) = opened(act, quick()).await;
    let tools = connection.tools().await.unwrap();
    let names: Vec<&str> = tools.iter().map(|tool| &*tool.name).collect();
    assert_eq!(names, ["echo", "add"]);
    assert_eq!(tools[0].digest, crate::json::digest(&definition("echo").to_string()).unwrap());
    assert_ne!(tools[0].digest, tools[1].digest);
}

#[tokio::test]
async fn a_list_without_end_is_refused() {
    let mut page = 0;
    let act = move |message: &Value, says: &Says| {
        page += 1;
        let line = result(message, json!({"nextCursor": page.to_string(), "tools": [definition(&format!("t{page}"))]}));
        says.send(line).unwrap();
    };
    let (_server, connection) = opened(act, quick()).await;
    assert!(matches!(connection.tools().await, Err(Error::NotMcp(_))));
    let act = |message: &Value, says: &Says| drop(says.send(error(message, code::METHOD_NOT_FOUND)));
    let (_server, connection) = opened(act, quick()).await;
    assert_eq!(connection.tools().await.unwrap(), []);
}
