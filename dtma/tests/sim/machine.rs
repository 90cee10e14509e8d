//! A Docker engine in memory, which fails, hangs, forgets and is told to let the daemon crash in the middle of a call.

use crate::world::{Box_, Sim, State};
use async_trait::async_trait;
use dtma::docker::{Aside, Attached, Bridge, Container, Disk, Error, Exit, Image, Inspected, Launch, Machine, labels};
use futures::{StreamExt, stream::BoxStream};
use protocol::ids::ToolboxId;
use rand::Rng;
use serde_json::{Value, json};
use std::{collections::HashMap, time::Duration};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};

/// What an init reads that is given nothing.
const NOTHING: &[u8] = b"given 1\n\x02\0\0\0.\0";

impl Sim {
    /// One call, with whatever befalls it.
    async fn call<T>(
        &self,
        call: &'static str,
        effect: impl FnOnce(&mut State) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let timed_out = || Error::TimedOut { call, seconds: 15 };
        let (latency, fate, down) = {
            let mut state = self.lock();
            let fate = if state.faults { state.rng.random_range(0..200) } else { 200 };
            (Duration::from_millis(state.rng.random_range(1..40)), fate, state.down)
        };
        tokio::time::sleep(latency).await;
        if down || self.lock().down {
            return Err(timed_out());
        }
        match fate {
            0 => self.crash().await,
            // Done, and the daemon dies before it hears of it.
            1 => {
                let _ = effect(&mut self.lock());
                self.crash().await
            }
            2 => Err(Error::Refused("an injected error".into())),
            3 => {
                tokio::time::sleep(Duration::from_secs(15)).await;
                Err(timed_out())
            }
            // Done, and the answer is lost.
            4 => {
                let _ = effect(&mut self.lock());
                Err(timed_out())
            }
            _ => effect(&mut self.lock()),
        }
    }
}

fn found<'a>(state: &'a mut State, id: &str) -> Result<&'a mut Box_, Error> {
    let by = |b: &&mut Box_| b.id == id || b.launch_name == id;
    state.containers.values_mut().find(by).ok_or_else(|| Error::NotFound(id.into()))
}

#[async_trait]
impl Machine for Sim {
    async fn containers(&self, toolbox: ToolboxId) -> Result<Vec<Container>, Error> {
        self.call("list", |state| {
            let ours = state.containers.values().filter(|b| b.label(labels::TOOLBOX) == toolbox.to_string());
            Ok(ours.map(Box_::seen).collect())
        })
        .await
    }

    async fn leftovers(&self, _: ToolboxId) -> Result<Vec<String>, Error> {
        self.call("list", |_| Ok(vec![])).await
    }

    async fn create(&self, launch: Launch) -> Result<String, Error> {
        self.call("create", |state| {
            if state.containers.values().any(|b| b.launch_name == launch.name) {
                return Err(Error::Conflict("the name is taken".into()));
            }
            let made = Box_::new(state, launch.name, launch.labels, launch.image.contains("bad"));
            let id = made.id.clone();
            state.containers.insert(id.clone(), made);
            Ok(id)
        })
        .await
    }

    async fn start(&self, id: &str) -> Result<(), Error> {
        self.call("start", |state| {
            let now = state.now();
            let started = found(state, id)?;
            started.started = now;
            if started.bad {
                started.end(7)
            } else {
                started.running = true
            }
            state.changed();
            Ok(())
        })
        .await
    }

    async fn attach(&self, id: &str, mut stderr: Aside) -> Result<Attached, Error> {
        let (mut gone, bad, fresh) =
            self.call("attach", |state| found(state, id).map(|b| (b.gone.subscribe(), b.bad, !b.running))).await?;
        let mut cut = self.lock().cut.subscribe();
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let (output, input) = tokio::io::split(ours);
        if bad {
            stderr(b"it cannot start\n");
        }
        let (sim, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            tokio::select! {
                _ = gone.wait_for(|gone| *gone) => {}
                _ = cut.changed() => {}
                () = serve(theirs, fresh, &sim, &id) => {}
            }
        });
        Ok(Attached { output: Box::new(output), input: Box::pin(input) })
    }

    async fn stop(&self, id: &str, _: u32) -> Result<(), Error> {
        self.call("stop", |state| {
            state.check_end(id);
            match found(state, id) {
                Ok(b) if b.running => b.end(143),
                _ => {}
            }
            state.changed();
            Ok(())
        })
        .await
    }

    async fn remove(&self, id: &str) -> Result<(), Error> {
        self.call("remove", |state| {
            state.check_end(id);
            if let Ok(id) = found(state, id).map(|b| b.id.clone())
                && let Some(mut gone) = state.containers.remove(&id)
            {
                gone.end(137);
            }
            state.changed();
            Ok(())
        })
        .await
    }

    async fn exit(&self, id: &str) -> Result<Exit, Error> {
        self.call("inspect", |state| {
            let b = found(state, id)?;
            let started_at = protocol::Timestamp::from_second(b.started).ok();
            Ok(Exit { running: b.running, code: b.code.filter(|_| !b.running), out_of_memory: false, started_at })
        })
        .await
    }

    async fn inspect(&self, id: &str) -> Result<Inspected, Error> {
        self.call("inspect", |state| {
            let b = found(state, id)?;
            let started_at = protocol::Timestamp::from_second(b.started).ok();
            Ok(Inspected { labels: b.labels.clone(), process: None, started_at })
        })
        .await
    }

    async fn ended(&self, id: &str, limit: Duration) -> Result<(), Error> {
        let waiting = self.call("wait", |state| Ok(found(state, id)?.gone.subscribe())).await;
        let mut gone = waiting?;
        let ended = tokio::time::timeout(limit, gone.wait_for(|gone| *gone)).await;
        ended.map(|_| ()).map_err(|_| Error::TimedOut { call: "wait", seconds: limit.as_secs() })
    }

    async fn image(&self, name: &str) -> Result<Option<Image>, Error> {
        self.call("image", |state| {
            let image = Image {
                id: name.into(),
                digest: None,
                labels: HashMap::new(),
                entrypoint: vec![],
                command: vec![],
                volumes: vec![],
                workdir: String::new(),
            };
            Ok(state.images.contains(name).then_some(image))
        })
        .await
    }

    async fn pull(&self, name: &str) -> Result<(), Error> {
        self.call("pull", |state| {
            if state.full {
                state.broken.push(format!("{name} was pulled onto a full disk"));
            }
            state.images.insert(name.to_owned());
            Ok(())
        })
        .await
    }

    async fn disk(&self) -> Result<Option<Disk>, Error> {
        self.call("info", |state| Ok(Some(Disk { free: if state.full { 1 } else { 50 }, total: 100 }))).await
    }

    async fn volume(&self, _: ToolboxId, _: &str, _: HashMap<String, String>, _: &str) -> Result<(), Error> {
        self.call("volume", |_| Ok(())).await
    }

    async fn network(&self, _: &str, _: HashMap<String, String>) -> Result<Bridge, Error> {
        Err(Error::Refused("no server here has hosts".into()))
    }

    async fn forget(&self, _: &str) -> Result<(), Error> {
        self.call("network", |_| Ok(())).await
    }

    async fn events(&self, _: ToolboxId) -> Result<BoxStream<'static, ()>, Error> {
        let heard = self.call("events", |state| Ok(state.happened.subscribe())).await?;
        let next = |mut heard: tokio::sync::watch::Receiver<u64>| async {
            heard.changed().await.ok()?;
            Some(((), heard))
        };
        Ok(futures::stream::unfold(heard, next).boxed())
    }
}

/// The smallest MCP server; when it is `fresh`, its init comes first, which is given nothing here.
async fn serve(stream: tokio::io::DuplexStream, fresh: bool, sim: &Sim, id: &str) {
    let (mut read, mut write) = tokio::io::split(stream);
    if fresh && read.read_exact(&mut [0; NOTHING.len()]).await.is_err() {
        return;
    }
    let mut lines = BufReader::new(read).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        let Ok(asked) = serde_json::from_str::<Value>(&line) else { continue };
        let result = match asked["method"].as_str() {
            Some("initialize") => json!({"protocolVersion": "2025-11-25", "capabilities": {"tools": {}},
                "serverInfo": {"name": "sim", "version": "1"}}),
            Some("tools/list") => json!({"tools": [{"name": "t", "inputSchema": {"type": "object"}}]}),
            _ => continue,
        };
        let answer = json!({"jsonrpc": "2.0", "id": asked["id"], "result": result});
        let listed = asked["method"] == "tools/list";
        if write.write_all(format!("{answer}\n").as_bytes()).await.is_err() {
            return;
        }
        if let (true, Some(b)) = (listed, sim.lock().containers.get_mut(id)) {
            b.served = true;
        }
    }
}
