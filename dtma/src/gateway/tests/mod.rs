//! The gateway as its clients meet it: over its endpoint, before servers that live in this process.

mod calls;
mod input;
mod listing;
mod news;
mod params;
mod places;
mod refusals;
mod revisions;
mod said;
mod secrets;
mod secure;
mod sessions;
mod talk;
mod traffic;

use super::*;
use axum::{
    body::Body,
    http::{HeaderMap, StatusCode, header},
};
use capability::{Bearer, Minter, SigningKey};
use http_body_util::BodyExt;
use mcp::{Connection, Options};
use protocol::{
    capability::{GrantedTool, RiskClass},
    chat::Secret,
    ids::*,
    toolbox::Revocations,
};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Mutex};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, duplex};

const SECRET: &str = "s3cret-värde\"with quote";

/// On this machine.
fn somebody() -> Peer {
    Peer::new(([127, 0, 0, 1], 5).into())
}

/// A toolbox with two servers, `alpha` and `beta`, and somebody who mints capabilities for it.
struct Stage {
    endpoint: Endpoint,
    registry: Registry,
    verifier: Verifier,
    records: Records,
    requests: Arc<RequestLog>,
    woken: Arc<Mutex<u32>>,
    minter: Minter,
    toolbox: ToolboxId,
    owner: UserId,
    agent: AgentId,
    /// What each server was asked, in its own words.
    seen: Arc<Mutex<Vec<String>>>,
    hear: watch::Sender<()>,
}

struct Daemon(Arc<Mutex<u32>>);

impl Control for Daemon {
    fn wake(&self) -> bool {
        let mut woken = self.0.lock().unwrap();
        *woken += 1;
        *woken == 1
    }

    fn logs(&self, server: &str) -> Option<Lines> {
        let lines = vec!["started".to_owned(), format!("key is {SECRET}")];
        (server == "alpha").then(|| Box::pin(futures::stream::iter(lines)) as Lines)
    }
}

struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    text: String,
}

impl Reply {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text))
    }

    fn error_code(&self) -> Option<i64> {
        self.json()["error"]["code"].as_i64()
    }
}

impl Stage {
    async fn new() -> Self {
        Self::with(Settings::default()).await
    }

    async fn with(settings: Settings) -> Self {
        let key = SigningKey::generate().unwrap();
        let minter = Minter::from_pkcs8("k1", &key).unwrap();
        let (toolbox, owner) = (ToolboxId::new(), UserId::new());
        let keys = BTreeMap::from([("k1".to_owned(), minter.key().public_key().to_string())]);
        let verifier = Verifier::new(&keys, toolbox, owner).unwrap();
        verifier.set_revocations(&Revocations::default(), now()).unwrap();
        let (registry, records) = (Registry::default(), Records::default());
        let (hear, heard) = watch::channel(());
        let (requests, woken, seen) = (Arc::new(RequestLog::default()), Arc::default(), Arc::default());
        let stage = Self {
            endpoint: Endpoint::new(Parts {
                registry: registry.clone(),
                verifier: verifier.clone(),
                requests: requests.clone(),
                control: Arc::new(Daemon(Arc::clone(&woken))),
                records: records.clone(),
                heard,
                settings,
            }),
            registry,
            verifier,
            records,
            requests,
            woken,
            minter,
            toolbox,
            owner,
            agent: AgentId::new(),
            seen,
            hear,
        };
        stage.server("alpha", &["echo", "slow", "leak", "fail"]).await;
        stage.server("beta", &["echo"]).await;
        stage
    }

    /// Puts a server on the stage.
    async fn server(&self, name: &str, tools: &[&str]) {
        let definitions: Vec<Value> = tools.iter().map(|tool| definition(tool)).collect();
        let connection = serve_here(name.to_owned(), definitions, self.seen.clone()).await;
        let tools = connection.tools().await.unwrap();
        let secrets = Arc::new(vec![Secret::new(SECRET.into())]);
        self.registry.insert(name, ServerEntry { id: ServerId::new(), connection, tools, secrets });
    }

    fn grant(&self, server: &str, tool: &str) -> GrantedTool {
        let digest = self.registry.get(server).and_then(|s| Some(s.tool(tool)?.1.digest.clone()));
        GrantedTool {
            server: server.into(),
            tool: tool.into(),
            digest: digest.unwrap_or_default(),
            args: None,
            class: RiskClass::Write,
        }
    }

    fn bearer(&self) -> Bearer {
        Bearer { toolbox: self.toolbox, owner: self.owner, agent: self.agent, run: None, epoch: 1 }
    }

    fn token_of(&self, tools: Vec<GrantedTool>) -> String {
        self.minter.mint(&self.bearer().claims(tools, now(), None).unwrap()).unwrap()
    }

    /// For these tools, `server.tool`.
    fn token(&self, tools: &[&str]) -> String {
        let tools = tools.iter().map(|tool| tool.split_once('.').unwrap());
        self.token_of(tools.map(|(server, tool)| self.grant(server, tool)).collect())
    }

    /// For everything on the stage.
    fn full(&self) -> String {
        self.token(&["alpha.echo", "alpha.slow", "alpha.leak", "alpha.fail", "beta.echo"])
    }

    async fn send(&self, request: axum::http::Request<Body>) -> Reply {
        let response = self.endpoint.answer(request, &somebody()).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Reply { status: parts.status, headers: parts.headers, text: String::from_utf8(bytes.into()).unwrap() }
    }

    /// A stateless request whose headers agree with its body.
    async fn ask(&self, path: &str, token: &str, method: &str, params: Value) -> Reply {
        self.send(stateless(path, token, method, params).body_of()).await
    }

    async fn call(&self, token: &str, tool: &str, arguments: Value) -> Reply {
        self.ask("/mcp", token, "tools/call", json!({"name": tool, "arguments": arguments})).await
    }

    /// How often a server was asked to run a tool.
    fn calls(&self) -> usize {
        self.seen.lock().unwrap().iter().filter(|line| line.contains("\"tools/call\"")).count()
    }
}

/// A request that tests bend before they send it.
struct Draft {
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Draft {
    fn set(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self = self.without(name);
        self.headers.push((name, value.into()));
        self
    }

    fn add(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    fn without(mut self, name: &'static str) -> Self {
        self.headers.retain(|(n, _)| *n != name);
        self
    }

    fn text(self, body: impl Into<String>) -> Self {
        Self { body: body.into(), ..self }
    }

    fn body_of(self) -> axum::http::Request<Body> {
        let mut request = axum::http::Request::post(self.path);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(Body::from(self.body)).unwrap()
    }
}

fn plain(path: &str, token: &str, body: Value) -> Draft {
    Draft {
        path: path.into(),
        headers: vec![
            ("host", "127.0.0.1:9000".into()),
            ("authorization", format!("Bearer {token}")),
            ("content-type", "application/json".into()),
            ("accept", "application/json, text/event-stream".into()),
        ],
        body: body.to_string(),
    }
}

fn stateless(path: &str, token: &str, method: &str, mut params: Value) -> Draft {
    params["_meta"] = json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
    });
    let target = params.get("name").or(params.get("uri")).and_then(Value::as_str).map(str::to_owned);
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": method, "params": params});
    let draft = plain(path, token, body).set("mcp-protocol-version", "2026-07-28").set("mcp-method", method);
    match target {
        Some(target) => draft.set("mcp-name", target),
        None => draft,
    }
}

fn definition(tool: &str) -> Value {
    json!({
        "name": tool,
        "description": format!("the tool {tool} of a test"),
        "inputSchema": {"type": "object", "properties": {"text": {"type": "string"}}},
        "vendor/extension": {"kept": true},
    })
}

/// A server over pipes in this process. `echo` gives its text and the server's name back, `slow` waits for `ms`, `leak`
/// tells the secret in several spellings, `fail` is a JSON-RPC error.
async fn serve_here(name: String, tools: Vec<Value>, seen: Arc<Mutex<Vec<String>>>) -> Connection {
    let (theirs_out, ours_in) = duplex(1 << 20);
    let (ours_out, theirs_in) = duplex(1 << 20);
    tokio::spawn(async move {
        let out = Arc::new(tokio::sync::Mutex::new(theirs_out));
        let mut lines = BufReader::new(theirs_in).lines();
        while let Ok(Some(line)) = lines.next_line().await {
            seen.lock().unwrap().push(line.clone());
            let message: Value = serde_json::from_str(&line).unwrap();
            let (id, tool, out) = (message["id"].clone(), message["params"]["name"].clone(), out.clone());
            if id.is_null() {
                continue;
            }
            let arguments = message["params"]["arguments"].clone();
            let text = |text: String| json!({"content": [{"type": "text", "text": text}], "vendor/x": [1.50]});
            let wait = if tool == "slow" { arguments["ms"].as_u64().unwrap_or(0) } else { 0 };
            let mut body = json!({"result": {}});
            match (message["method"].as_str().unwrap(), tool.as_str()) {
                ("initialize", _) => {
                    body["result"] = json!({"protocolVersion": "2025-11-25", "serverInfo": {"name": name},
                        "instructions": "be kind", "capabilities": {"tools": {}, "resources": {"subscribe": true}}});
                }
                ("tools/list", _) => body["result"] = json!({"tools": tools}),
                ("resources/read", _) => body["result"] = json!({"contents": [{"uri": message["params"]["uri"]}]}),
                ("tools/call", Some("leak")) => {
                    let nested = json!({"inner": SECRET}).to_string();
                    body["result"] =
                        json!({"content": [{"type": "text", "text": SECRET}, {"type": "text", "text": nested}]});
                }
                ("tools/call", Some("fail")) => body = json!({"error": {"code": -32000, "message": "as asked"}}),
                ("tools/call", _) => {
                    body["result"] = text(format!("{name}:{}", arguments["text"].as_str().unwrap_or_default()));
                }
                _ => body = json!({"error": {"code": -32601, "message": "unknown here"}}),
            }
            body["jsonrpc"] = "2.0".into();
            body["id"] = id;
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_millis(wait)).await;
                let _ = out.lock().await.write_all(format!("{body}\n").as_bytes()).await;
            });
        }
    });
    Connection::open(ours_in, ours_out, Options::default()).await.unwrap()
}

fn text_of(reply: &Reply) -> String {
    reply.json()["result"]["content"][0]["text"].as_str().unwrap_or_default().to_owned()
}

fn session_headers(draft: Draft, session: &str) -> Draft {
    draft.set("mcp-session-id", session).set("mcp-protocol-version", "2025-11-25")
}

fn header_of<'r>(reply: &'r Reply, name: &str) -> Option<&'r str> {
    reply.headers.get(name)?.to_str().ok()
}

fn challenge(reply: &Reply) -> &str {
    header_of(reply, header::WWW_AUTHENTICATE.as_str()).unwrap_or_default()
}
