//! What the gateway adds to a call: the same echo server spoken to directly over its standard streams, and through the
//! gateway with everything on (capability, digest, access record). Prints JSON.
//!
//! `cargo run --release -p dtma --example gateway_bench -- [CALLS] [CLIENTS]`; the server is this program again, called
//! with `server`.

mod client;
mod server;

use capability::{Bearer, Minter, SigningKey, Verifier};
use client::Http;
use dtma::gateway::{self, Control, Lines, Parts, Records, Registry, RequestLog, ServerEntry, Settings};
use mcp::{Connection, Message, Options, json::Limits};
use protocol::{
    capability::{GrantedTool, RiskClass},
    ids::{AgentId, ServerId, ToolboxId, UserId},
    toolbox::Revocations,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    net::SocketAddr,
    process::Stdio,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};
use tokio::{net::TcpListener, process::Command, task::JoinSet};

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// As many calls as one token makes are well below what `capability` allows.
const CALLS_A_TOKEN: usize = 50_000;

struct Quiet;

impl Control for Quiet {
    fn wake(&self) -> bool {
        true
    }

    fn logs(&self, _: &str) -> Option<Lines> {
        None
    }
}

struct Issuer {
    minter: Minter,
    bearer: Bearer,
    tools: Vec<GrantedTool>,
}

impl Issuer {
    fn token(&self) -> Result<String, Failure> {
        Ok(self.minter.mint(&self.bearer.claims(self.tools.clone(), now(), None)?)?)
    }
}

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "server") {
        return Ok(server::run()?);
    }
    let number = |at: usize, otherwise| arguments.get(at).map_or(Ok(otherwise), |text| text.parse::<usize>());
    let (calls, clients) = (number(0, 5_000)?, number(1, 16)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    println!("{}", runtime.block_on(measure(calls, clients))?);
    Ok(())
}

async fn measure(calls: usize, clients: usize) -> Result<Value, Failure> {
    let (address, issuer) = start_gateway()?;
    let issuer = Arc::new(issuer);
    let direct = connect().await?;
    let mut table = compare(&direct, address, &issuer, 100, calls, clients).await?;
    table["64_kib"] = compare(&direct, address, &issuer, 64 << 10, calls / 5, clients).await?;
    Ok(table)
}

/// One client directly and through the gateway, then several at once through it.
async fn compare(
    direct: &Connection,
    address: SocketAddr,
    issuer: &Arc<Issuer>,
    payload: usize,
    calls: usize,
    clients: usize,
) -> Result<Value, Failure> {
    let text = "x".repeat(payload);
    let alone = spoken_directly(direct, &text, calls).await?;
    let through = through_gateway(address, issuer, &text, calls, 1).await?;
    let together = through_gateway(address, issuer, &text, calls, clients).await?;
    Ok(json!({
        "bytes": payload, "calls": calls, "clients": clients,
        "direct": alone.json(), "gateway": through.json(), "gateway_clients": together.json(),
        "added_p50_us": through.at(0.5) - alone.at(0.5), "added_p99_us": through.at(0.99) - alone.at(0.99),
    }))
}

/// The gateway on a thread of its own, as in `dtma`.
fn start_gateway() -> Result<(SocketAddr, Issuer), Failure> {
    let (ready, started) = std::sync::mpsc::channel();
    std::thread::spawn(move || -> Result<(), Failure> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await?;
            let connection = connect().await?;
            let tools = connection.tools().await?;
            let grant = |server: &str, tool: &protocol::server::Tool| GrantedTool {
                server: server.into(),
                tool: tool.name.clone(),
                digest: tool.digest.clone(),
                args: None,
                class: RiskClass::Write,
            };
            let granted = tools.iter().map(|tool| grant("echo", tool)).collect();
            let minter = Minter::from_pkcs8("bench", &SigningKey::generate()?)?;
            let (toolbox, owner) = (ToolboxId::new(), UserId::new());
            let keys = BTreeMap::from([("bench".to_owned(), minter.key().public_key().to_string())]);
            let verifier = Verifier::new(&keys, toolbox, owner)?;
            verifier.set_revocations(&Revocations::default(), now())?;
            let registry = Registry::default();
            registry.insert("echo", ServerEntry { id: ServerId::new(), connection, tools, secrets: Arc::default() });
            let bearer = Bearer { toolbox, owner, agent: AgentId::new(), run: None, epoch: 1 };
            ready.send((listener.local_addr()?, Issuer { minter, bearer, tools: granted }))?;
            let endpoint = gateway::Endpoint::new(Parts {
                registry,
                verifier,
                requests: Arc::new(RequestLog::default()),
                control: Arc::new(Quiet),
                records: Records::default(),
                heard: tokio::sync::watch::channel(()).1,
                settings: Settings::default(),
            });
            gateway::serve(gateway::Front::plain(listener)?, endpoint, std::future::pending(), Duration::ZERO).await?;
            Ok(())
        })
    });
    Ok(started.recv()?)
}

async fn connect() -> Result<Connection, Failure> {
    let mut child =
        Command::new(std::env::current_exe()?).arg("server").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    let (Some(output), Some(input)) = (child.stdout.take(), child.stdin.take()) else {
        return Err("the server has no pipes".into());
    };
    // It ends by itself when its input does.
    tokio::spawn(async move { child.wait().await });
    Ok(Connection::open(output, input, Options::default()).await?)
}

async fn spoken_directly(connection: &Connection, text: &str, calls: usize) -> Result<Times, Failure> {
    let params = json!({"name": "echo", "arguments": {"text": text}});
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}).to_string();
    let message = Message::parse(request.as_bytes(), Limits::REQUEST)?;
    let mut times = Times::start(calls);
    for call in 0..calls + calls / 10 {
        let at = Instant::now();
        connection.forward(&message, message.rewrite(), Duration::from_secs(10)).await?;
        times.note(at, call >= calls / 10);
    }
    Ok(times.end())
}

async fn through_gateway(
    address: SocketAddr,
    issuer: &Arc<Issuer>,
    text: &str,
    calls: usize,
    clients: usize,
) -> Result<Times, Failure> {
    let mut running = JoinSet::new();
    let times = Times::start(calls * clients);
    for _ in 0..clients {
        let (issuer, text) = (issuer.clone(), text.to_owned());
        running.spawn(async move {
            let mut times = Times::start(calls);
            let mut http = Http::connect(address).await?;
            let mut request = Vec::new();
            for call in 0..calls + calls / 10 {
                if call % CALLS_A_TOKEN == 0 {
                    request = client::request(&issuer.token()?, &text);
                }
                let at = Instant::now();
                http.call(&request, &text).await?;
                times.note(at, call >= calls / 10);
            }
            Ok::<_, Failure>(times)
        });
    }
    let mut all = times;
    while let Some(times) = running.join_next().await {
        all.micros.extend(times??.micros);
    }
    Ok(all.end())
}

/// Times of calls, in microseconds.
struct Times {
    started: Instant,
    took: Duration,
    micros: Vec<f64>,
}

impl Times {
    fn start(calls: usize) -> Self {
        Self { started: Instant::now(), took: Duration::ZERO, micros: Vec::with_capacity(calls) }
    }

    fn note(&mut self, since: Instant, counts: bool) {
        if counts {
            self.micros.push(since.elapsed().as_nanos() as f64 / 1000.0);
        }
    }

    fn end(mut self) -> Self {
        self.took = self.started.elapsed();
        self.micros.sort_by(f64::total_cmp);
        self
    }

    fn at(&self, part: f64) -> f64 {
        let at = (self.micros.len() as f64 * part) as usize;
        self.micros.get(at.min(self.micros.len().saturating_sub(1))).copied().unwrap_or(0.0)
    }

    fn json(&self) -> Value {
        // The warm-up is a tenth on top.
        let calls = self.micros.len() as f64 * 1.1;
        let rate = (calls / self.took.as_secs_f64()).round();
        json!({"p50_us": self.at(0.5), "p99_us": self.at(0.99), "calls_per_s": rate})
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs() as i64)
}
