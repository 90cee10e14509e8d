//! From a desired state to tools, with real Docker and real packages.

mod support;

use protocol::server::ServerState;
use serde_json::json;
use std::time::Instant;
use support::{Plane, Toolbox, docker, memory};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_npm_server_is_deployed_called_and_removed() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane);
    toolbox.run();
    plane.until("the first check-in", 10, |inner| (!inner.checkins.is_empty()).then_some(())).await;

    let spec = memory();
    let begun = Instant::now();
    plane.want(std::slice::from_ref(&spec)).await;
    let status = plane
        .until("memory runs", 60, |inner| {
            inner.statuses.get(&spec.id).filter(|status| status.state == ServerState::Running).cloned()
        })
        .await;
    eprintln!("MEASURED request to tools listed: {:?}", begun.elapsed());
    assert!(status.pinned.unwrap().starts_with("@modelcontextprotocol/server-memory@"));
    plane.until("generation applied", 5, |inner| (inner.checkins.last()?.applied_generation == 1).then_some(())).await;

    let client = plane.client(std::slice::from_ref(&spec));
    let entity = json!({"entities": [{"name": "Ada", "entityType": "person", "observations": ["likes engines"]}]});
    client.call("memory__create_entities", &entity).await.unwrap();
    let read = client.call("memory__read_graph", &json!({})).await.unwrap().text();
    assert!(read.contains("likes engines"), "{read}");

    // A restart makes a new container and keeps the data.
    let before = toolbox.containers();
    let mut newer = spec.clone();
    newer.revision = 1;
    let begun = Instant::now();
    plane.want(&[newer]).await;
    plane
        .until("the restarted one", 30, |inner| {
            let status = inner.statuses.get(&spec.id)?;
            (status.state == ServerState::Running && status.revision == 1).then_some(())
        })
        .await;
    eprintln!("MEASURED restart, image cached: {:?}", begun.elapsed());
    assert_ne!(before, toolbox.containers());
    let read = client.call("memory__read_graph", &json!({})).await.unwrap().text();
    assert!(read.contains("likes engines"), "{read}");

    plane.want(&[]).await;
    toolbox.until_gone(0).await;
    plane
        .until("generation 3 applied", 5, |inner| (inner.checkins.last()?.applied_generation == 3).then_some(()))
        .await;
    assert!(client.call("memory__read_graph", &json!({})).await.is_err());
}
