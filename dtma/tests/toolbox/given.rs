//! What a server is given, seen from its container's init.

use crate::support::docker;
use dtma::docker::{Engine, Launch, Limits, Network, given::Given, labels};
use protocol::ids::{ServerId, ToolboxId};
use std::{collections::BTreeMap, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    time::timeout,
};

const LIMIT: Duration = Duration::from_secs(30);

/// A container that prints a variable; its volume is removed with it.
struct Printer {
    engine: Engine,
    name: String,
    _streams: tempfile::TempDir,
}

impl Printer {
    async fn create() -> Self {
        let streams = tempfile::tempdir().unwrap();
        let engine = Engine::new(streams.path().to_path_buf());
        let (toolbox, server) = (ToolboxId::new(), ServerId::new());
        let (name, labels) = (labels::name(toolbox, server), labels::of_server(toolbox, server));
        engine.volume(toolbox, &name, labels.clone(), "agentopia/mcp-node").await.unwrap();
        let launch = Launch {
            name: name.clone(),
            image: "agentopia/mcp-node".into(),
            command: ["sh", "-c", "echo \"$KEY $0\"; cat \"$FILE\"", "plain"].map(str::to_owned).to_vec(),
            workdir: "/data".into(),
            masked: vec![],
            env: BTreeMap::new(),
            labels,
            volume: name.clone(),
            network: Network::None,
            ca: None,
            limits: Limits { memory_bytes: 64 << 20, ..Limits::default() },
        };
        engine.create(launch).await.unwrap();
        Self { engine, name, _streams: streams }
    }

    /// What it prints, and its exit code.
    async fn run(&self, sent: Result<Given, &[u8]>) -> (String, Option<i64>) {
        let mut attached = self.engine.attach(&self.name, |_| {}).await.unwrap();
        self.engine.start(&self.name).await.unwrap();
        match sent {
            Ok(given) => attached.give(&given).await.unwrap(),
            Err(bytes) => attached.input.write_all(bytes).await.unwrap(),
        }
        let mut said = String::new();
        timeout(LIMIT, attached.output.read_to_string(&mut said)).await.unwrap().unwrap();
        self.engine.ended(&self.name, LIMIT).await.unwrap();
        (said, self.engine.exit(&self.name).await.unwrap().code)
    }

    async fn remove(self) {
        self.engine.remove(&self.name).await.unwrap();
        self.engine.remove_volume(&self.name).await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_has_all_that_it_is_given_or_does_not_begin() {
    if !docker() {
        return;
    }
    // As much as the pipe holds, and more.
    let long = "x".repeat(3 << 19);
    let variables = [("KEY".to_owned(), "value".to_owned()), ("FILE".to_owned(), "/tmp/credentials/F".to_owned())];
    let given = Given {
        variables: variables.into(),
        files: [("F".to_owned(), protocol::chat::Secret::new(long.clone()))].into(),
        arguments: ["-c", "echo \"$KEY $0\"; cat \"$FILE\"", "secret"].map(str::to_owned).to_vec(),
    };
    let printer = Printer::create().await;
    assert_eq!(printer.run(Ok(given)).await, (format!("value secret\n{long}"), Some(0)));
    printer.remove().await;

    // A daemon that died while it wrote, and what the next one says to a server that it takes to be there.
    let next =
        b"\n{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{\"protocolVersion\":\"2025-11-25\"}}\n";
    for begun in [b"".as_slice(), b"given 1", b"given 1\n\x20\0\0\0vKEY=val"] {
        let printer = Printer::create().await;
        let (said, code) = printer.run(Err(&[begun, next].concat())).await;
        assert_eq!((said.as_str(), code), ("", Some(126)), "{:?}", String::from_utf8_lossy(begun));
        printer.remove().await;
    }
}
