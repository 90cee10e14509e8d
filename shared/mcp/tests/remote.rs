//! A connection to a server behind a URL, over real HTTP. The server is a double that says what each test has it say.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

use axum::{
    Router,
    body::{Body, Bytes},
    extract::State,
    http::{HeaderMap, Method},
    response::Response,
};
use mcp::{
    Connection, Error, Event, Options,
    remote::{Endpoint, streams},
};
use serde_json::{Value, json};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::time::timeout;

/// What the double was sent.
#[derive(Clone)]
struct Seen {
    method: Method,
    headers: HeaderMap,
    body: Value,
}

impl Seen {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn says(&self) -> &str {
        self.body["method"].as_str().unwrap_or_default()
    }
}

type Say = dyn Fn(&Seen) -> Response + Send + Sync;
type Heard = Arc<Mutex<Vec<Seen>>>;
type Way = Box<dyn Fn() -> Response + Send + Sync>;

struct Double {
    seen: Heard,
    url: String,
}

impl Double {
    async fn new(say: impl Fn(&Seen) -> Response + Send + Sync + 'static) -> Self {
        let seen = Heard::default();
        let state: (Heard, Arc<Say>) = (seen.clone(), Arc::new(say));
        let answer =
            async |State((seen, say)): State<(Heard, Arc<Say>)>, method: Method, headers: HeaderMap, body: Bytes| {
                let one = Seen { method, headers, body: serde_json::from_slice(&body).unwrap_or_default() };
                seen.lock().unwrap().push(one.clone());
                say(&one)
            };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/s3cr3t/mcp", listener.local_addr().unwrap());
        let app = Router::new().fallback(answer).with_state(state);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { seen, url }
    }

    async fn open(&self) -> Result<Connection, Error> {
        open(&self.url).await
    }

    fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    async fn once(&self, is: impl Fn(&Seen) -> bool) -> Seen {
        let found = async {
            loop {
                if let Some(seen) = self.seen().into_iter().find(|seen| is(seen)) {
                    return seen;
                }
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(Duration::from_secs(5), found).await.expect("it was sent")
    }
}

async fn open(url: &str) -> Result<Connection, Error> {
    let headers = HeaderMap::from_iter([("x-api-key".parse().unwrap(), "k".parse().unwrap())]);
    let http = reqwest::Client::builder().no_proxy().build().unwrap();
    let streams = streams(Endpoint { http, url: url.parse().unwrap(), headers, max_message: 64 << 10 });
    Connection::open(streams.output, streams.input, Options::default()).await
}

fn reply(status: u16, kind: &str, body: impl Into<Body>) -> Response {
    Response::builder().status(status).header("content-type", kind).body(body.into()).unwrap()
}

fn json_of(seen: &Seen, result: Value) -> Response {
    // Written over several lines: also then it becomes one.
    let text =
        serde_json::to_string_pretty(&json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})).unwrap();
    reply(200, "application/json; charset=utf-8", text)
}

fn event(message: &Value) -> String {
    format!("event: message\ndata: {message}\n\n")
}

fn answer(seen: &Seen, result: Value) -> Value {
    json!({"jsonrpc": "2.0", "id": seen.body["id"], "result": result})
}

fn tool(name: &str, schema: Value) -> Value {
    json!({"name": name, "description": "d", "inputSchema": schema})
}

/// A server with sessions, but for what a test wants otherwise.
fn with_session(otherwise: impl Fn(&Seen) -> Option<Response>, seen: &Seen) -> Response {
    if let Some(response) = otherwise(seen) {
        return response;
    }
    match (&seen.method, seen.says()) {
        (&Method::POST, "initialize") => {
            let result = json!({"protocolVersion": "2025-06-18", "capabilities": {"tools": {}}, "serverInfo": {"name": "x", "version": "1"}});
            let mut response = json_of(seen, result);
            response.headers_mut().insert("mcp-session-id", "s-1".parse().unwrap());
            response
        }
        (&Method::POST, "tools/list") => {
            let tools = json!({"tools": [tool("echo", json!({"type": "object"}))]});
            reply(200, "text/event-stream", format!(": hello\n\n{}", event(&answer(seen, tools))))
        }
        (&Method::POST, "tools/call") => json_of(seen, json!({"content": [{"type": "text", "text": "hi"}]})),
        (&Method::GET, _) => reply(405, "text/plain", ""),
        _ => reply(202, "text/plain", ""),
    }
}

#[tokio::test]
async fn a_session_is_kept_and_ended() {
    let double = Double::new(|seen| with_session(|_| None, seen)).await;
    let connection = double.open().await.unwrap();
    assert_eq!(connection.tools().await.unwrap().len(), 1);
    let result = connection.request("tools/call", &json!({"name": "echo", "arguments": {}})).await.unwrap();
    assert!(result.get().contains("\"hi\""), "{result}");

    let seen = double.seen();
    let places = |says: &str| seen.iter().position(|seen| seen.says() == says).unwrap();
    assert!(places("notifications/initialized") < places("tools/list"), "it comes before whatever follows");
    for one in seen.iter().filter(|one| one.says() != "initialize") {
        assert_eq!(
            (one.header("mcp-session-id"), one.header("mcp-protocol-version")),
            (Some("s-1"), Some("2025-06-18"))
        );
        assert_eq!(one.header("mcp-method"), None, "that is of the stateless form");
    }
    assert!(seen.iter().all(|one| one.header("x-api-key") == Some("k")));
    let accept = seen[0].header("accept").unwrap();
    assert!(accept.contains("application/json") && accept.contains("text/event-stream"), "{accept}");

    drop(connection);
    let farewell = double.once(|seen| seen.method == Method::DELETE).await;
    assert_eq!(farewell.header("mcp-session-id"), Some("s-1"));
}

#[tokio::test]
async fn to_a_stateless_server_headers_say_what_the_body_says() {
    let double = Double::new(|seen| match seen.says() {
        "server/discover" => json_of(seen, json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {}}})),
        "tools/list" => {
            let properties = json!({
                "region": {"type": "string", "x-mcp-header": "Region"},
                "deep": {"type": "object", "properties": {"n": {"type": "integer", "x-mcp-header": "Count"}}},
            });
            json_of(seen, json!({"tools": [tool("echo", json!({"type": "object", "properties": properties}))]}))
        }
        "tools/call" => json_of(seen, json!({"resultType": "complete", "content": []})),
        _ => reply(
            400,
            "application/json",
            json!({"jsonrpc": "2.0", "id": null, "error": {"code": -32022, "message": "no"}}).to_string(),
        ),
    })
    .await;
    let connection = double.open().await.unwrap();
    connection.tools().await.unwrap();
    let call = json!({"name": "echo", "arguments": {"region": "Zürich", "deep": {"n": 3}}});
    connection.request("tools/call", &call).await.unwrap();
    let call = double.once(|seen| seen.says() == "tools/call").await;
    assert_eq!(call.header("mcp-protocol-version"), Some("2026-07-28"));
    assert_eq!((call.header("mcp-method"), call.header("mcp-name")), (Some("tools/call"), Some("echo")));
    assert_eq!(call.header("mcp-param-region"), Some("=?base64?WsO8cmljaA==?="));
    assert_eq!(call.header("mcp-param-count"), Some("3"));
    assert_eq!(call.body["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"], "2026-07-28");
    assert!(double.seen().iter().all(|seen| seen.method == Method::POST), "there is no session to hear or to end");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_taken_up_where_it_broke() {
    let asked = Arc::new(Mutex::new(None));
    let kept = asked.clone();
    let double = Double::new(move |seen| {
        let otherwise = |seen: &Seen| {
            if seen.says() == "tools/call" {
                *kept.lock().unwrap() = Some(seen.body["id"].clone());
                return Some(reply(200, "text/event-stream", "id: 5\nretry: 10\ndata:\n\n"));
            }
            let id = kept.lock().unwrap().clone().filter(|_| seen.header("last-event-id") == Some("5"))?;
            let late = json!({"jsonrpc": "2.0", "id": id, "result": {"content": [], "late": true}});
            Some(reply(200, "text/event-stream", event(&late)))
        };
        with_session(otherwise, seen)
    })
    .await;
    let connection = double.open().await.unwrap();
    let result = connection.request("tools/call", &json!({"name": "echo"})).await.unwrap();
    assert!(result.get().contains("late"), "{result}");
}

/// Each way to give no answer is an error of that one call, which says what the matter is and nothing of the URL.
#[tokio::test]
async fn what_is_no_answer_is_an_error_and_the_next_call_is_answered() {
    let long = "x".repeat(100 << 10);
    let ways: Vec<(&str, Way)> = vec![
        ("other credentials", Box::new(|| reply(401, "text/plain", "Bearer s3cr3t"))),
        ("500", Box::new(|| reply(500, "text/html", "<p>s3cr3t"))),
        ("no answer", Box::new(|| reply(200, "text/html", "<p>"))),
        ("no answer", Box::new(|| reply(202, "text/plain", ""))),
        ("no answer", Box::new(|| reply(200, "application/json", "{\"a\""))),
        ("broke off", Box::new(|| reply(200, "text/event-stream", "data: {}\n\n"))),
        ("too long", Box::new(move || reply(200, "application/json", long.clone()))),
        ("too long", Box::new(|| reply(200, "text/event-stream", "data: x\n".repeat(100 << 10)))),
        (
            "-32001",
            Box::new(|| {
                reply(
                    400,
                    "application/json",
                    "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32001,\"message\":\"m\"}}",
                )
            }),
        ),
    ];
    let count = ways.len();
    let nth = Mutex::new(0);
    let texts: Vec<&str> = ways.iter().map(|(text, _)| *text).collect();
    let texts: Vec<String> = texts.into_iter().map(str::to_owned).collect();
    let double = Double::new(move |seen| {
        let otherwise = |seen: &Seen| {
            let mut nth = nth.lock().unwrap();
            (seen.says() == "tools/call" && *nth < count).then(|| {
                *nth += 1;
                ways[*nth - 1].1()
            })
        };
        with_session(otherwise, seen)
    })
    .await;
    let connection = double.open().await.unwrap();
    for text in texts {
        let error = connection.request("tools/call", &json!({"name": "echo"})).await.unwrap_err().to_string();
        assert!(error.contains(&text) && !error.contains("s3cr3t"), "{error:?} should say {text:?}");
    }
    connection.request("tools/call", &json!({"name": "echo"})).await.unwrap();
}

#[tokio::test]
async fn many_answers_that_never_end_are_bounded_together() {
    let double = Double::new(|seen| {
        let hang = |seen: &Seen| {
            let begun = futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from("data: x\n".repeat(5_000)))]);
            let never = Body::from_stream(futures::StreamExt::chain(begun, futures::stream::pending()));
            (seen.says() == "tools/call").then(|| reply(200, "text/event-stream", never))
        };
        with_session(hang, seen)
    })
    .await;
    let connection = double.open().await.unwrap();
    let spoilt = async |callers: usize| {
        let (name, limit) = (json!({"name": "echo"}), Duration::from_secs(3));
        let calls = (0..callers).map(|_| connection.request_within("tools/call", &name, limit));
        let answers = futures::future::join_all(calls).await;
        answers.iter().filter(|answer| matches!(answer, Err(Error::Rpc { .. }))).count()
    };
    // Each is within its own bound; four times as much are the bound of all.
    assert_eq!(spoilt(4).await, 0);
    assert!(spoilt(16).await > 0);
}

#[tokio::test]
async fn nobody_at_the_address_is_said_without_the_address() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = open(&format!("http://{free}/s3cr3t")).await.err().unwrap().to_string();
    assert!(error.contains("does not answer") && !error.contains("s3cr3t"), "{error}");
}

#[tokio::test]
async fn a_session_that_the_server_forgot_ends_the_connection() {
    let forgotten = |seen: &Seen| (seen.says() == "tools/call").then(|| reply(404, "text/plain", ""));
    let double = Double::new(move |seen| with_session(forgotten, seen)).await;
    let connection = double.open().await.unwrap();
    let error = connection.request("tools/call", &json!({"name": "echo"})).await.unwrap_err();
    assert!(error.to_string().contains("session"), "{error}");
    timeout(Duration::from_secs(5), connection.closed()).await.expect("it is over");
}

#[tokio::test]
async fn a_call_that_nobody_waits_for_is_cancelled_there() {
    let double = Double::new(|seen| {
        let hang = |seen: &Seen| {
            let never = Body::from_stream(futures::stream::pending::<Result<Bytes, std::io::Error>>());
            (seen.says() == "tools/call").then(|| reply(200, "text/event-stream", never))
        };
        with_session(hang, seen)
    })
    .await;
    let connection = double.open().await.unwrap();
    let call = connection.request_within("tools/call", &json!({"name": "echo"}), Duration::from_secs(1)).await;
    assert!(matches!(call, Err(Error::TimedOut(_))), "{call:?}");
    let call = double.once(|seen| seen.says() == "tools/call").await;
    let cancelled = double.once(|seen| seen.says() == "notifications/cancelled").await;
    assert_eq!(cancelled.body["params"]["requestId"], call.body["id"]);
}

#[tokio::test]
async fn what_a_server_says_by_itself_is_heard() {
    let double = Double::new(|seen| {
        let own = |seen: &Seen| {
            let news = event(&json!({"jsonrpc": "2.0", "method": "notifications/tools/list_changed"}));
            (seen.method == Method::GET).then(|| reply(200, "text/event-stream", news))
        };
        with_session(own, seen)
    })
    .await;
    let connection = double.open().await.unwrap();
    let mut events = connection.events();
    let heard = timeout(Duration::from_secs(10), events.recv()).await.expect("heard").unwrap();
    assert!(matches!(heard, Event::ListChanged("tools")), "{heard:?}");
}

#[tokio::test]
async fn a_stateless_servers_stream_of_changes_is_asked_for_again_when_it_breaks_off() {
    let listens = Mutex::new(0);
    let double = Double::new(move |seen| match seen.says() {
        "server/discover" => json_of(
            seen,
            json!({"supportedVersions": ["2026-07-28"], "capabilities": {"tools": {"listChanged": true}, "resources": {}}}),
        ),
        "tools/list" => json_of(seen, json!({"tools": []})),
        "subscriptions/listen" => {
            let mut listens = listens.lock().unwrap();
            *listens += 1;
            let acknowledged = event(&json!({"jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged"}));
            // The first two end, as at a proxy that has waited long enough; the third is refused.
            match *listens {
                1 | 2 => reply(200, "text/event-stream", acknowledged),
                _ => reply(404, "text/plain", ""),
            }
        }
        _ => reply(404, "application/json", json!({"jsonrpc": "2.0", "id": seen.body["id"], "error": {"code": -32601, "message": "no"}}).to_string()),
    })
    .await;
    let connection = double.open().await.unwrap();
    let mut events = connection.events();
    // What may have changed in between is told.
    let told = timeout(Duration::from_secs(20), async {
        while !matches!(events.recv().await, Ok(Event::ListChanged("tools"))) {}
    });
    told.await.expect("it is told");
    let third = async {
        while double.seen().iter().filter(|seen| seen.says() == "subscriptions/listen").count() < 3 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(Duration::from_secs(20), third).await.expect("it is asked for again");
    assert!(connection.tools().await.unwrap().is_empty(), "the connection goes on");
}
