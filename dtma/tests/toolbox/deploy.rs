//! From a desired state to tools, with real packages.

use crate::support::{Plane, Toolbox, docker, memory, npx, running, sh, uvx};
use serde_json::json;
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_npm_server_is_deployed_called_restarted_and_removed() {
    let Some((plane, toolbox)) = running().await else { return };

    let spec = memory();
    let begun = Instant::now();
    plane.want(std::slice::from_ref(&spec)).await;
    let status = plane.until_running(&spec).await;
    eprintln!("MEASURED npm server, request to tools listed: {:?}", begun.elapsed());
    assert!(status.pinned.unwrap().starts_with("@modelcontextprotocol/server-memory@"));
    plane.until_applied(1).await;

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
    plane.want(std::slice::from_ref(&newer)).await;
    plane.until_running(&newer).await;
    eprintln!("MEASURED restart: {:?}", begun.elapsed());
    assert_ne!(before, toolbox.containers());
    let read = client.call("memory__read_graph", &json!({})).await.unwrap().text();
    assert!(read.contains("likes engines"), "{read}");

    plane.want(&[]).await;
    toolbox.until_gone(0).await;
    plane.until_applied(3).await;
    assert!(client.call("memory__read_graph", &json!({})).await.is_err());

    // The same package for a new server: the version that was resolved and its image are there.
    let again = memory();
    let begun = Instant::now();
    plane.want(std::slice::from_ref(&again)).await;
    plane.until_running(&again).await;
    let took = begun.elapsed();
    eprintln!("MEASURED npm server, image cached, request to tools listed: {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python_servers_are_deployed_also_those_for_the_first_generation_of_mcp() {
    let Some((plane, _toolbox)) = running().await else { return };

    let time = uvx("time", "mcp-server-time");
    let mut sqlite = uvx("sqlite", "mcp-server-sqlite");
    sqlite.args = vec!["--db-path".into(), "/data/test.db".into()];
    let begun = Instant::now();
    plane.want(&[time.clone(), sqlite.clone()]).await;
    plane.until_running(&time).await;
    eprintln!("MEASURED PyPI server, request to tools listed: {:?}", begun.elapsed());
    let status = plane.until_running(&sqlite).await;
    eprintln!("MEASURED PyPI server that needs mcp<2: {:?}", begun.elapsed());
    assert!(status.pinned.unwrap().ends_with("with mcp<2"));

    let client = plane.client(&[time, sqlite]);
    let answer = client.call("time__get_current_time", &json!({"timezone": "Asia/Tokyo"})).await.unwrap().text();
    assert!(answer.contains("Asia/Tokyo"), "{answer}");
    let query = json!({"query": "create table t (n integer)"});
    assert!(!client.call("sqlite__create_table", &query).await.unwrap().is_error);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_packages_image_holds_nothing_of_the_machine() {
    if !docker() {
        return;
    }
    let plane = Plane::start().await;
    let mut toolbox = Toolbox::enrolled(&plane).with("npm_config_//registry.example/:_authToken", "npm_mustnotleak");
    toolbox.run();
    plane.until_checked_in(0).await;
    let spec = npx("everything", "@modelcontextprotocol/server-everything");
    plane.want(std::slice::from_ref(&spec)).await;
    plane.until_running(&spec).await;

    let image = sh("docker", &["inspect", "-f", "{{.Config.Image}}", &toolbox.containers()[0]]);
    assert!(image.starts_with("agentopia-pkg:"), "{image}");
    let seen = sh("docker", &["image", "inspect", &image]);
    for never in ["mustnotleak", "NPM_CONFIG", "agentopia.toolbox", "agentopia.server", "CA_CERTS"] {
        assert!(!seen.contains(never), "{never} in {seen}");
    }
    assert!(seen.contains("agentopia.package"));
}
