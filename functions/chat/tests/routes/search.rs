//! The same over the real search: the embedding model, and the well-known servers that come with the program.

use crate::scene::{Scene, asked};
use catalog::{Selector, indexer};
use models::embedding::{Embedder, MiniLm};
use serde_json::json;
use std::{sync::Arc, time::Instant};

async fn scene() -> Scene {
    let db = testkit::database().await;
    db.run(include_str!("../../../../supabase/seed.sql")).await;
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
    let instructions = linear["required_credentials"].as_array().unwrap().iter().map(|one| &one["instructions"]);
    assert!(instructions.clone().all(|steps| steps.as_array().is_some_and(|steps| steps.len() > 1)), "{linear}");

    for message in ["hello", "Please water the plants on my balcony"] {
        let reply = scene.say(json!({"message": message})).await;
        assert!(reply["plan"].is_null() && reply["agent_created"] == false, "{message}: {reply}");
    }
}
