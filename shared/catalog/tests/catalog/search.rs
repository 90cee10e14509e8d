use catalog::{Selector, indexer};
use database::{Caller, Error};
use domain::intent::Intent;
use models::embedding::MiniLm;
use std::sync::Arc;
use testkit::TestDatabase;

async fn seeded() -> (TestDatabase, Selector, Caller) {
    let db = testkit::database().await;
    db.run(include_str!("../../../../supabase/seed.sql")).await;
    let model = Arc::new(MiniLm::load(&testkit::model::folder()).unwrap());
    let user = Caller::user(testkit::user(&db).await);
    let selector = Selector::new(db.database.clone(), model);
    (db, selector, user)
}

#[tokio::test]
async fn the_seed_answers_the_first_walk() {
    let (db, selector, user) = seeded().await;
    let request = "Tell me the time in different time zones, and remember facts about people in a knowledge graph";
    // Nothing is embedded yet: words alone find it.
    let first = |selection: &catalog::Selection| -> Vec<String> {
        selection
            .needs
            .iter()
            .map(|need| need.candidates.first().map(|one| one.server.name.clone()).unwrap_or_default())
            .collect()
    };
    let both = ["io.github.modelcontextprotocol/time", "io.github.modelcontextprotocol/memory"];
    assert_eq!(first(&selector.select(&user, request, 5).await.unwrap()), both);

    let made = indexer::index(&db.database, selector.embedder().as_ref(), |_| {}).await.unwrap();
    assert!(made >= 60, "{made}");
    let selection = selector.select(&user, request, 5).await.unwrap();
    assert_eq!(first(&selection), both);
    assert!(!selection.no_match);
    for need in &selection.needs {
        assert!(need.candidates[0].confidence > 0.8 && !need.candidates[0].why.is_empty(), "{need:?}");
        assert!(need.candidates[0].server.packages[0].environment_variables.iter().all(|one| !one.is_secret));
    }

    let selection =
        selector.select(&user, "Create a ticket in Linear whenever a new GitHub issue is opened", 5).await.unwrap();
    assert_eq!(first(&selection), ["io.github.tacticlaunch/mcp-linear", "io.github.modelcontextprotocol/github"]);
    for need in &selection.needs {
        let server = &need.candidates[0].server;
        let secret =
            server.packages[0].environment_variables.iter().find(|one| one.is_secret && one.is_required).unwrap();
        assert!(!server.meta["io.agentopia/instructions"][&secret.name].as_array().unwrap().is_empty());
    }
}

#[tokio::test]
async fn what_nothing_does_is_not_answered() {
    let (db, selector, user) = seeded().await;
    indexer::index(&db.database, selector.embedder().as_ref(), |_| {}).await.unwrap();
    for (request, intent) in [
        ("hello there", Intent::Talk),
        ("delete my agent", Intent::Platform),
        ("mow the lawn in the garden", Intent::Task),
        ("renew my passport at the consulate in person", Intent::Task),
    ] {
        let selection = selector.select(&user, request, 5).await.unwrap();
        assert!(selection.no_match, "{request}: {selection:?}");
        assert_eq!(selection.intent, intent, "{request}");
        assert!(selector.search(&user, request, 10).await.unwrap().servers.is_empty());
    }
    // A part that nothing fits stays empty beside one that is answered.
    let selection =
        selector.select_needs(&user, &["what time is it in Tokyo".into(), "iron my shirts".into()], 5).await.unwrap();
    assert!(
        !selection.no_match && !selection.needs[0].candidates.is_empty() && selection.needs[1].candidates.is_empty()
    );
}

#[tokio::test]
async fn a_search_takes_turns_between_needs_and_repeats_nothing() {
    let (db, selector, user) = seeded().await;
    indexer::index(&db.database, selector.embedder().as_ref(), |_| {}).await.unwrap();
    let reply = selector.search(&user, "read my Notion pages and post to Slack", 10).await.unwrap();
    assert_eq!(reply.needs.len(), 2);
    assert_eq!(reply.servers[0].name, "io.github.makenotion/notion-mcp-server");
    assert_eq!(reply.servers[1].name, "io.github.modelcontextprotocol/slack");
    assert_eq!((&reply.servers[0].need, &reply.servers[1].need), (&reply.needs[0], &reply.needs[1]));
    let mut names: Vec<_> = reply.servers.iter().map(|one| &one.name).collect();
    names.sort();
    names.dedup();
    assert_eq!(names.len(), reply.servers.len());
    assert_eq!(selector.search(&user, "read my Notion pages and post to Slack", 1).await.unwrap().servers.len(), 1);
}

#[tokio::test]
async fn nobody_unknown_searches() {
    let (_db, selector, _) = seeded().await;
    let error = selector.search(&Caller::anonymous(), "weather", 5).await.unwrap_err();
    assert!(matches!(error, catalog::Error::Database(Error::Forbidden { .. })), "{error}");
}

#[tokio::test]
async fn any_text_is_a_request() {
    let (db, selector, user) = seeded().await;
    indexer::index(&db.database, selector.embedder().as_ref(), |_| {}).await.unwrap();
    for request in [
        "'; drop table app.catalog_server; --",
        "a & b | !c:*",
        "\u{202e}\u{feff}",
        "🦀🦀🦀",
        "\\",
        "%",
        &"weather ".repeat(10_000),
    ] {
        selector.search(&user, request, 10).await.unwrap();
    }
}
