//! The same over the real search: the embedding model and a catalog of a few entries.

use crate::scene::{Scene, asked};
use catalog::{Selector, indexer};
use database::Caller;
use models::embedding::{Embedder, MiniLm};
use protocol::catalog::ServerJson;
use serde_json::json;
use std::{sync::Arc, time::Instant};

fn entry(name: &str, title: &str, description: &str, kind: &str, identifier: &str, secret: Option<&str>) -> ServerJson {
    let variables: Vec<_> =
        secret.iter().map(|key| json!({"name": key, "isRequired": true, "isSecret": true})).collect();
    serde_json::from_value(json!({
        "name": name, "title": title, "description": description, "version": "1.0.0",
        "packages": [{"registryType": kind, "identifier": identifier, "transport": {"type": "stdio"}, "environmentVariables": variables}],
    }))
    .expect("an entry")
}

async fn scene() -> Scene {
    let db = testkit::database().await;
    let entries = [
        entry(
            "io.modelcontextprotocol/time",
            "Time",
            "Current time and time zone conversion",
            "pypi",
            "mcp-server-time",
            None,
        ),
        entry(
            "io.modelcontextprotocol/memory",
            "Memory",
            "Knowledge graph memory: remember entities, facts and relations about people",
            "npm",
            "@modelcontextprotocol/server-memory",
            None,
        ),
        entry(
            "io.github.tacticlaunch/mcp-linear",
            "Linear",
            "Linear issue tracking: create and update tickets, projects and teams",
            "npm",
            "@tacticlaunch/mcp-linear",
            Some("LINEAR_API_TOKEN"),
        ),
        entry(
            "io.github.github/github-mcp-server",
            "GitHub",
            "GitHub repositories, issues, commits and pull requests",
            "npm",
            "@modelcontextprotocol/server-github",
            Some("GITHUB_PERSONAL_ACCESS_TOKEN"),
        ),
        entry(
            "io.github.x/slack",
            "Slack",
            "Read and post messages to Slack channels",
            "npm",
            "@modelcontextprotocol/server-slack",
            Some("SLACK_BOT_TOKEN"),
        ),
    ];
    db.database.catalog_server_upsert(&Caller::service(), "seed", &entries).await.expect("stored");
    let embedder: Arc<dyn Embedder> = Arc::new(MiniLm::load(&testkit::model::folder()).expect("a model"));
    indexer::index(&db.database, embedder.as_ref(), |_| {}).await.expect("indexed");
    let selector = Selector::new(db.database.clone(), embedder);
    selector.warm().await.expect("warm");
    Scene::over(db, Arc::new(selector), None).await
}

#[tokio::test]
async fn the_walk_of_a_new_user() {
    let scene = scene().await;
    let message = "Tell me the time in different time zones, and remember facts about people in a knowledge graph";
    let begun = Instant::now();
    let reply = scene.say(json!({"message": message})).await;
    eprintln!("a turn that makes an agent took {:?}", begun.elapsed());
    assert_eq!(reply["agent_created"], true, "{reply}");
    let servers: Vec<_> =
        reply["plan"]["capabilities"].as_array().unwrap().iter().map(|c| c["chosen"]["server"].clone()).collect();
    assert_eq!(servers, ["time", "memory"]);

    let linear = scene.say(json!({"message": "Create a ticket in Linear whenever a new GitHub issue is opened"})).await;
    let mut wanted = asked(&linear);
    wanted.sort();
    assert_eq!(wanted, ["github.GITHUB_PERSONAL_ACCESS_TOKEN", "linear.LINEAR_API_TOKEN"], "{linear}");

    for message in ["hello", "Please water the plants on my balcony"] {
        let reply = scene.say(json!({"message": message})).await;
        assert!(reply["plan"].is_null() && reply["agent_created"] == false, "{message}: {reply}");
    }
}
