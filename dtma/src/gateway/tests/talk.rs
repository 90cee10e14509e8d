//! A server whose every line a test decides, and clients that read streams as they come.

use super::*;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

pub(super) struct Talker {
    say: mpsc::UnboundedSender<String>,
    heard: Arc<Mutex<Vec<Value>>>,
}

/// What the talker is: its handshake and its tools are answered by themselves.
pub(super) struct Character {
    pub(super) stateless: bool,
    pub(super) capabilities: Value,
    /// Calls that it is given at once.
    pub(super) at_once: usize,
}

pub(super) fn older() -> Character {
    let capabilities = json!({"tools": {}, "logging": {}, "prompts": {"listChanged": true},
        "resources": {"subscribe": true, "listChanged": true}});
    Character { stateless: false, capabilities, at_once: 1024 }
}

pub(super) fn newer() -> Character {
    Character { stateless: true, ..older() }
}

impl Talker {
    /// Puts it on the stage as `talker`, with the tools `a` and `b`.
    pub(super) async fn enter(stage: &Stage, character: Character) -> Self {
        let (mut theirs_out, ours_in) = duplex(1 << 20);
        let (ours_out, theirs_in) = duplex(1 << 20);
        let (say, mut said) = mpsc::unbounded_channel::<String>();
        let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
        tokio::spawn(async move {
            while let Some(line) = said.recv().await {
                let _ = theirs_out.write_all(format!("{line}\n").as_bytes()).await;
            }
        });
        let (log, answer) = (heard.clone(), say.clone());
        let options = Options { in_flight: character.at_once, ..Options::default() };
        tokio::spawn(async move {
            let mut lines = BufReader::new(theirs_in).lines();
            while let Ok(Some(line)) = lines.next_line().await {
                let message: Value = serde_json::from_str(&line).unwrap();
                log.lock().unwrap().push(message.clone());
                let id = message["id"].clone();
                let reply = match (message["method"].as_str().unwrap_or_default(), character.stateless) {
                    ("initialize", true) => json!({"error": {"code": -32022, "message": "no"}}),
                    ("initialize", false) => json!({"result": {"protocolVersion": "2025-11-25",
                        "serverInfo": {"name": "t"}, "capabilities": character.capabilities}}),
                    ("server/discover", true) => json!({"result": {"resultType": "complete",
                        "supportedVersions": ["2026-07-28"], "capabilities": character.capabilities}}),
                    ("tools/list", _) => json!({"result": {"tools": [definition("a"), definition("b")]}}),
                    ("resources/subscribe" | "resources/unsubscribe" | "logging/setLevel", _) => json!({"result": {}}),
                    _ => continue,
                };
                let mut reply = reply;
                (reply["jsonrpc"], reply["id"]) = ("2.0".into(), id);
                answer.send(reply.to_string()).unwrap();
            }
        });
        let connection = Connection::open(ours_in, ours_out, options).await.unwrap();
        let tools = connection.tools().await.unwrap();
        let secrets = Arc::new(vec![Secret::new(SECRET.into())]);
        stage.registry.insert("talker", ServerEntry { id: ServerId::new(), connection, tools, secrets });
        Self { say, heard }
    }

    pub(super) fn say(&self, mut message: Value) {
        message["jsonrpc"] = "2.0".into();
        self.say.send(message.to_string()).unwrap();
    }

    pub(super) fn answer(&self, to: &Value, text: &str) {
        self.say(json!({"id": to["id"], "result": {"content": [{"type": "text", "text": text}]}}));
    }

    pub(super) fn asks(&self, id: &str, method: &str, params: Value) {
        self.say(json!({"id": id, "method": method, "params": params}));
    }

    pub(super) fn all(&self, method: &str) -> Vec<Value> {
        self.heard.lock().unwrap().iter().filter(|message| message["method"] == method).cloned().collect()
    }

    /// What it was told, once something fits.
    pub(super) async fn hears(&self, fits: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..15_000 {
            let found = self.heard.lock().unwrap().iter().find(|message| fits(message)).cloned();
            if let Some(found) = found {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("never heard; only {:#?}", self.heard.lock().unwrap());
    }

    /// The `count`th call of a tool, once it came.
    pub(super) async fn call(&self, tool: &str, count: usize) -> Value {
        for _ in 0..15_000 {
            let mut calls = self.all("tools/call");
            calls.retain(|call| call["params"]["name"] == tool);
            if calls.len() >= count {
                return calls.swap_remove(count - 1);
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        panic!("{tool} was not called {count} times; only {:#?}", self.heard.lock().unwrap());
    }
}

/// An answer that is read as it comes, whether or not the test looks, as a server over sockets would send it.
pub(super) struct Live {
    pub(super) head: axum::http::response::Parts,
    messages: mpsc::UnboundedReceiver<Value>,
    _reading: AbortOnDropHandle<()>,
}

impl Live {
    pub(super) async fn open(stage: &Stage, request: axum::http::Request<Body>) -> Self {
        let (head, mut body) = stage.endpoint.answer(request, &somebody()).await.into_parts();
        let (sender, messages) = mpsc::unbounded_channel();
        let stream = head.headers[header::CONTENT_TYPE] == "text/event-stream";
        let reading = tokio::spawn(async move {
            let mut text = String::new();
            while let Some(frame) = body.frame().await {
                text.push_str(std::str::from_utf8(&frame.unwrap().into_data().unwrap()).unwrap());
                while let Some((event, rest)) = text.split_once("\n\n").filter(|_| stream) {
                    // The test may have seen enough.
                    if let Some(data) = event.strip_prefix("data: ") {
                        let _ = sender.send(serde_json::from_str(data).unwrap());
                    }
                    text = rest.to_owned();
                }
            }
            if !stream {
                sender.send(serde_json::from_str(&text).unwrap()).unwrap();
            }
        });
        Self { head, messages, _reading: AbortOnDropHandle::new(reading) }
    }

    pub(super) fn streams(&self) -> bool {
        self.head.headers[header::CONTENT_TYPE] == "text/event-stream"
    }

    /// The next message; none at the end.
    pub(super) async fn next(&mut self) -> Option<Value> {
        tokio::time::timeout(Duration::from_secs(30), self.messages.recv()).await.expect("it says something")
    }

    /// Nothing comes for a moment.
    pub(super) async fn is_silent(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(60), self.messages.recv()).await.is_err()
    }
}

/// A session at `/mcp/talker`.
pub(super) async fn session(stage: &Stage, token: &str, capabilities: Value) -> String {
    let params = json!({"protocolVersion": "2025-11-25", "capabilities": capabilities, "clientInfo": {"name": "t"}});
    let body = json!({"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params});
    let reply = stage.send(plain("/mcp/talker", token, body).body_of()).await;
    header_of(&reply, "mcp-session-id").unwrap().to_owned()
}

pub(super) fn within(token: &str, session: &str, message: Value) -> Draft {
    let mut body = message;
    body["jsonrpc"] = "2.0".into();
    session_headers(plain("/mcp/talker", token, body), session)
}

/// Calls a tool within a session; runs by itself, because the answer's head waits for the server.
pub(super) fn calls(stage: &Arc<Stage>, draft: Draft) -> tokio::task::JoinHandle<Live> {
    let (stage, request) = (stage.clone(), draft.body_of());
    tokio::spawn(async move { Live::open(&stage, request).await })
}

pub(super) fn tool(token: &str, session: &str, id: u32, tool: &str, meta: Value) -> Draft {
    let params = json!({"name": tool, "arguments": {}, "_meta": meta});
    within(token, session, json!({"id": id, "method": "tools/call", "params": params}))
}

pub(super) fn everything(stage: &Stage) -> String {
    stage.token(&["talker.a", "talker.b"])
}

/// The same for another agent.
pub(super) fn of_another(stage: &Stage) -> String {
    let other = Bearer { agent: AgentId::new(), ..stage.bearer() };
    let tools = vec![stage.grant("talker", "a"), stage.grant("talker", "b")];
    stage.minter.mint(&other.claims(tools, now(), None).unwrap()).unwrap()
}

impl Talker {
    /// What it was answered.
    pub(super) fn heard_answers(&self) -> Vec<Value> {
        self.heard.lock().unwrap().iter().filter(|message| message["method"].is_null()).cloned().collect()
    }
}
