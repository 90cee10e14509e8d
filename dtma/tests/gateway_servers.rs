//! Real servers of npm and PyPI, as child processes, through the gateway: what they say directly and what comes through
//! is the same.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use capability::{Bearer, Minter, SigningKey, Verifier};
use dtma::gateway::{self, Control, Lines, Parts, Records, Registry, RequestLog, ServerEntry, Settings};
use mcp::{Connection, Options, client::Client};
use protocol::{
    capability::{GrantedTool, RiskClass},
    ids::{AgentId, ServerId, ToolboxId, UserId},
    toolbox::Revocations,
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    path::Path,
    process::Stdio,
    sync::Arc,
    time::{Duration, SystemTime},
};
use tokio::{net::TcpListener, process::Command};

struct Quiet;

impl Control for Quiet {
    fn wake(&self) -> bool {
        true
    }

    fn logs(&self, _: &str) -> Option<Lines> {
        None
    }
}

fn now() -> i64 {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs() as i64
}

/// Runs a command to its end; false, and said loudly, when it cannot be.
async fn prepared(what: &str, command: &mut Command) -> bool {
    let output = command.stdin(Stdio::null()).output().await;
    match output {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("SKIPPED: {what} failed: {}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            eprintln!("SKIPPED: {what} cannot be run: {error}");
            false
        }
    }
}

async fn npm(folder: &Path, package: &str, entry: &str) -> Option<Command> {
    let mut install = Command::new("npm");
    install.args(["install", "--no-audit", "--no-fund", "--ignore-scripts", package, "--prefix"]).arg(folder);
    if !prepared("npm install", &mut install).await {
        return None;
    }
    let mut command = Command::new("node");
    command.arg(folder.join("node_modules").join(entry));
    Some(command)
}

async fn pypi(folder: &Path, package: &str) -> Option<Command> {
    let made = prepared("python3 -m venv", Command::new("python3").args(["-m", "venv"]).arg(folder)).await;
    let mut install = Command::new(folder.join("bin/pip"));
    if !made || !prepared("pip install", install.args(["install", "-q", package])).await {
        return None;
    }
    Some(Command::new(folder.join("bin").join(package)))
}

/// The server behind a gateway: the connection to it, and a client that may call everything.
async fn staged(mut command: Command) -> (Connection, Client, tokio::process::Child) {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).kill_on_drop(true).spawn().unwrap();
    let (output, input) = (child.stdout.take().unwrap(), child.stdin.take().unwrap());
    let connection = Connection::open(output, input, Options::default()).await.unwrap();
    let tools = connection.tools().await.unwrap();
    let minter = Minter::from_pkcs8("k", &SigningKey::generate().unwrap()).unwrap();
    let (toolbox, owner) = (ToolboxId::new(), UserId::new());
    let keys = BTreeMap::from([("k".to_owned(), minter.key().public_key().to_string())]);
    let verifier = Verifier::new(&keys, toolbox, owner).unwrap();
    verifier.set_revocations(&Revocations::default(), now()).unwrap();
    let granted = tools.iter().map(|tool| GrantedTool {
        server: "real".into(),
        tool: tool.name.clone(),
        digest: tool.digest.clone(),
        args: None,
        class: RiskClass::Write,
    });
    let bearer = Bearer { toolbox, owner, agent: AgentId::new(), run: None, epoch: 1 };
    let token = minter.mint(&bearer.claims(granted.collect(), now(), None).unwrap()).unwrap();
    let registry = Registry::default();
    let entry = ServerEntry { id: ServerId::new(), connection: connection.clone(), tools, secrets: Arc::default() };
    registry.insert("real", entry);
    let endpoint = gateway::Endpoint::new(Parts {
        registry,
        verifier,
        requests: Arc::new(RequestLog::default()),
        control: Arc::new(Quiet),
        records: Records::default(),
        heard: tokio::sync::watch::channel(()).1,
        settings: Settings::default(),
    });
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/mcp/real", listener.local_addr().unwrap());
    tokio::spawn(gateway::serve(
        gateway::Front::plain(listener).unwrap(),
        endpoint,
        std::future::pending(),
        Duration::ZERO,
    ));
    (connection, Client::new(reqwest::Client::new(), url, token), child)
}

async fn directly(connection: &Connection, tool: &str, arguments: &Value) -> Value {
    let params = json!({"name": tool, "arguments": arguments});
    serde_json::from_str(connection.request("tools/call", &params).await.unwrap().get()).unwrap()
}

async fn through(client: &Client, tool: &str, arguments: &Value) -> Value {
    let result = client.request("tools/call", json!({"name": tool, "arguments": arguments})).await.unwrap();
    let mut result: Value = serde_json::from_str(result.get()).unwrap();
    assert_eq!(result.as_object_mut().unwrap().remove("resultType"), Some(json!("complete")));
    result
}

#[tokio::test]
async fn npm_everything() {
    let folder = tempfile::tempdir().unwrap();
    let package = "@modelcontextprotocol/server-everything";
    let Some(mut command) = npm(folder.path(), package, "@modelcontextprotocol/server-everything/dist/index.js").await
    else {
        return;
    };
    command.arg("stdio");
    let (connection, client, _child) = staged(command).await;
    let listed = client.tools().await.unwrap();
    let mut tools = connection.tools().await.unwrap();
    assert!(tools.len() >= 5);
    // The same definitions, in the order of names, and our own behind them.
    tools.sort_by(|a, b| a.name.cmp(&b.name));
    let definitions: Vec<&Value> = tools.iter().map(|tool| &tool.definition).collect();
    assert_eq!(listed[..listed.len() - 1].iter().collect::<Vec<_>>(), definitions);
    for (tool, arguments) in [
        ("echo", json!({"message": "grüße \u{1f600} \"quoted\"\n"})),
        ("get-structured-content", json!({"location": "New York"})),
        ("get-tiny-image", json!({})),
        ("no-such-tool-argument", json!({})),
    ] {
        if tools.iter().any(|known| known.name == tool) {
            assert_eq!(through(&client, tool, &arguments).await, directly(&connection, tool, &arguments).await);
        } else {
            assert!(client.call(tool, &arguments).await.is_err(), "{tool}");
        }
    }
    let resources = client.request("resources/list", json!({})).await.unwrap();
    let resources: Value = serde_json::from_str(resources.get()).unwrap();
    let uri = resources["resources"][0]["uri"].as_str().unwrap().to_owned();
    let read = client.request("resources/read", json!({"uri": uri})).await.unwrap();
    assert!(read.get().contains("\"contents\""));
    assert!(client.request("prompts/list", json!({})).await.unwrap().get().contains("\"prompts\""));
}

#[tokio::test]
async fn pypi_time() {
    let folder = tempfile::tempdir().unwrap();
    let Some(command) = pypi(folder.path(), "mcp-server-time").await else { return };
    let (connection, client, _child) = staged(command).await;
    let tools = client.tools().await.unwrap();
    assert!(tools.iter().any(|tool| tool["name"] == "get_current_time"), "{tools:?}");
    let arguments = json!({"source_timezone": "Asia/Tokyo", "target_timezone": "Europe/Berlin", "time": "12:00"});
    let one = through(&client, "convert_time", &arguments).await;
    assert_eq!(one["content"], directly(&connection, "convert_time", &arguments).await["content"]);
    let wrong = client.call("get_current_time", &json!({"timezone": "Nowhere/Never"})).await;
    assert!(wrong.is_err() || wrong.unwrap().is_error);
}
