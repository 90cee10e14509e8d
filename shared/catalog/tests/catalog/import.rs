use crate::double::{Double, Fault, Letters, entry};
use catalog::{
    import::{ImportError, Importer},
    registry::RegistryError,
};
use database::{Caller, Error};
use protocol::catalog::ImportState;
use serde_json::json;
use std::{sync::Arc, time::Duration};
use testkit::TestDatabase;
use uuid::Uuid;

fn ten() -> Vec<serde_json::Value> {
    (0..10).map(|n| entry(&format!("io.example/server-{n}"), &format!("Does thing number {n}"))).collect()
}

async fn setup() -> (TestDatabase, Importer) {
    let db = testkit::database().await;
    let importer = Importer::new(db.database.clone(), Arc::new(Letters));
    (db, importer)
}

async fn names(db: &TestDatabase) -> usize {
    let count = db
        .value("select count(*) from app.catalog_server where name like 'io.example/%' and status <> 'deleted'")
        .await;
    count.unwrap().parse().unwrap()
}

#[tokio::test]
async fn every_page_is_stored_and_a_second_import_changes_nothing() {
    let (db, importer) = setup().await;
    let double = Double::with(ten());
    let registry = double.registry().await;
    let service = Caller::service();
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!((done.state, done.pages, done.imported, done.skipped), (ImportState::Complete, 4, 10, 0));
    assert_eq!(names(&db).await, 10);

    // The next one asks for what changed since, and finds everything as it was.
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, worker).await.unwrap();
    assert!(begun.since.is_some() && begun.id != done.id);
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!((done.imported, done.unchanged), (0, 10));
    assert!(double.asked.lock().unwrap().last().unwrap().contains_key("updated_since"));
    let full = db.database.catalog_import_begin(&service, registry.url(), true, worker).await.unwrap();
    assert_eq!(full.since, None);
}

#[tokio::test]
async fn whatever_passes_is_tried_again() {
    let (db, importer) = setup().await;
    let double = Double::with(ten());
    let registry = double.registry().await;
    double.fail([Fault::Status(500), Fault::TooMany, Fault::Html, Fault::Truncated, Fault::Status(503)]);
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), false, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!((done.state, done.imported), (ImportState::Complete, 10));
    assert_eq!(double.asked.lock().unwrap().len(), 4 + 5);
}

#[tokio::test]
async fn a_broken_off_import_goes_on_behind_its_last_page() {
    let (db, importer) = setup().await;
    let double = Double::with(ten());
    let registry = double.registry().await;
    let service = Caller::service();
    // Two good pages, then a refusal that does not pass.
    double.fail([Fault::Nothing, Fault::Nothing, Fault::Status(404)]);
    let first = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, first).await.unwrap();
    let error = importer.run(&registry, begun.clone(), first).await.unwrap_err();
    assert!(matches!(error, ImportError::Registry(RegistryError::Refused(_))), "{error}");
    let failed = db.database.catalog_import_get(&service, begun.id).await.unwrap();
    assert_eq!((failed.state, failed.cursor.as_deref(), failed.imported), (ImportState::Failed, Some("6"), 6));
    assert!(failed.detail.is_some());
    assert_eq!(names(&db).await, 6);

    let second = Uuid::new_v4();
    let again = db.database.catalog_import_begin(&service, registry.url(), false, second).await.unwrap();
    assert_eq!((again.id, again.cursor.as_deref(), again.state), (begun.id, Some("6"), ImportState::Running));
    double.asked.lock().unwrap().clear();
    let done = importer.run(&registry, again, second).await.unwrap();
    assert_eq!((done.state, done.imported), (ImportState::Complete, 10));
    assert_eq!(double.asked.lock().unwrap()[0]["cursor"], "6");
    assert_eq!(names(&db).await, 10);
}

#[tokio::test]
async fn an_earlier_worker_is_fenced_off() {
    let (db, importer) = setup().await;
    let registry = Double::with(ten()).registry().await;
    let service = Caller::service();
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, first).await.unwrap();
    let taken = db.database.catalog_import_begin(&service, registry.url(), false, second).await.unwrap();
    assert_eq!(begun.id, taken.id);
    let error = importer.run(&registry, begun, first).await.unwrap_err();
    assert!(matches!(error, ImportError::Database(Error::Conflict { .. })), "{error}");
    assert_eq!(importer.run(&registry, taken, second).await.unwrap().state, ImportState::Complete);
}

#[tokio::test]
async fn a_registry_that_goes_in_circles_is_left() {
    let (db, importer) = setup().await;
    let double = Double::with(ten());
    let registry = double.registry().await;
    // The second page names itself as the next, as often as it is asked.
    let page = registry.page(Some("3"), None).await.unwrap();
    assert_eq!(page.next.as_deref(), Some("6"));
    double.fail([Fault::SameCursor; 8]);
    assert!(matches!(registry.page(Some("3"), None).await.unwrap_err(), RegistryError::Loop));
    // Once only, it is tried again.
    double.fail([Fault::SameCursor]);
    let worker = Uuid::new_v4();
    let mut begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), false, worker).await.unwrap();
    begun.cursor = Some("3".to_owned());
    assert_eq!(importer.run(&registry, begun, worker).await.unwrap().state, ImportState::Complete);
}

#[tokio::test]
async fn broken_and_hostile_entries_are_reported_and_the_rest_is_taken() {
    let (db, importer) = setup().await;
    let mut entries = ten();
    entries[1]["server"]["name"] = json!("no slash");
    entries[2] = json!("not an object");
    entries[4]["server"]["description"] = json!("x".repeat(200_000));
    entries[5].as_object_mut().unwrap().remove("_meta");
    entries[7]["_meta"]["io.modelcontextprotocol.registry/official"]["status"] = json!("zombie");
    let registry = Double::with(entries).registry().await;
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), false, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!((done.imported, done.skipped), (6, 4));
    let reported: Vec<&str> = done.report.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(reported, ["no slash", "(no name)", "io.example/server-4", "io.example/server-7"]);
}

#[tokio::test]
async fn an_entry_that_cannot_be_read_or_stored_costs_only_itself() {
    let (db, importer) = setup().await;
    let mut entries = ten();
    for (at, downloads) in [(1, json!("lots")), (4, json!(-1e300)), (7, json!({"a": 1}))] {
        entries[at]["server"]["_meta"] = json!({"io.agentopia/popularity":
            {"npmDownloadsPerMonth": downloads, "pypiDownloadRank": downloads}});
    }
    let double = Double::with(entries);
    let registry = double.registry().await;
    // A number beyond all measure, half a character; and deeper than anybody reads.
    let deep: &'static str = format!("{{\"server\": {}{}}}", "[".repeat(5_000), "]".repeat(5_000)).leak();
    double.fail([
        Fault::Instead(r#"{"server": {"name": "io.example/far", "version": 1e999}}"#),
        Fault::Instead(r#"{"server": {"name": "io.example/half", "description": "\ud800"}}"#),
        Fault::Instead(deep),
    ]);
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), false, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!((done.state, done.imported, done.skipped), (ImportState::Complete, 7, 3));

    // What the database alone refuses is told in the same way.
    db.run("delete from app.catalog_server where name = 'io.example/server-2'").await;
    db.run("alter table app.catalog_server add constraint no_two check (name <> 'io.example/server-2')").await;
    let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), true, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!((done.state, done.imported, done.unchanged, done.skipped), (ImportState::Complete, 3, 6, 1));
    assert_eq!(done.report[0].name, "io.example/server-2");
    assert!(done.report[0].reason.contains("no_two"), "{:?}", done.report);
}

#[tokio::test]
async fn what_changes_while_a_registry_is_read_is_read_again() {
    let (db, importer) = setup().await;
    let mut entries = ten();
    let now: String = db.value("select to_json(now() at time zone 'utc') #>> '{}' || 'Z'").await.unwrap();
    entries[9]["_meta"]["io.modelcontextprotocol.registry/official"]["updatedAt"] = json!(now);
    let registry = Double::with(entries).registry().await;
    let service = Caller::service();
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, worker).await.unwrap();
    importer.run(&registry, begun, worker).await.unwrap();
    db.run("update app.catalog_import set started_at = started_at - interval '4 days'").await;
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, worker).await.unwrap();
    let since = "select round(extract(epoch from now() - since) / 86400) from app.catalog_import order by started_at desc limit 1";
    assert_eq!(db.value(since).await.as_deref(), Some("4"), "{begun:?}");
}

#[tokio::test]
async fn a_cursor_that_means_nothing_any_more_is_forgotten() {
    let (db, importer) = setup().await;
    let double = Double::with(ten());
    let registry = double.registry().await;
    let service = Caller::service();
    double.fail([Fault::Nothing, Fault::Nothing, Fault::Status(404)]);
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, first).await.unwrap();
    importer.run(&registry, begun, first).await.unwrap_err();
    // The full import goes on as the full one that it was.
    let again = db.database.catalog_import_begin(&service, registry.url(), true, second).await.unwrap();
    assert_eq!(again.cursor.as_deref(), Some("6"));
    double.fail([Fault::Status(400)]);
    let done = importer.run(&registry, again, second).await.unwrap();
    assert_eq!((done.state, done.imported, done.unchanged), (ImportState::Complete, 10, 6));
}

#[tokio::test]
async fn a_full_import_takes_the_place_of_one_of_changes_only() {
    let (db, importer) = setup().await;
    let registry = Double::with(ten()).registry().await;
    let service = Caller::service();
    let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
    let begin =
        async |full, worker| db.database.catalog_import_begin(&service, registry.url(), full, worker).await.unwrap();
    let begun = begin(false, first).await;
    importer.run(&registry, begun, first).await.unwrap();
    let changes = begin(false, first).await;
    assert!(changes.since.is_some());
    let full = begin(true, second).await;
    assert!(full.since.is_none() && full.id != changes.id);
    let error = importer.run(&registry, changes, first).await.unwrap_err();
    assert!(matches!(error, ImportError::Database(Error::Conflict { .. })), "{error}");
    assert_eq!(importer.run(&registry, full, second).await.unwrap().unchanged, 10);
}

#[tokio::test]
async fn what_an_entry_hid_is_found_again_when_it_is_gone_and_who_was_given_up_says_so() {
    let (db, importer) = setup().await;
    db.run(include_str!("../../../../supabase/seed.sql")).await;
    let mut entries: Vec<_> = ["a", "b"].map(|name| entry(&format!("io.example/{name}"), "It takes a place")).into();
    for entry in &mut entries {
        entry["server"]["packages"][0]["identifier"] = json!("@tacticlaunch/mcp-linear");
    }
    let double = Double::with(entries);
    let registry = double.registry().await;
    let worker = Uuid::new_v4();
    let shadowed = async || {
        db.value("select shadowed from app.catalog_server where name = 'io.github.tacticlaunch/mcp-linear'")
            .await
            .unwrap()
    };
    let import = async || {
        let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), true, worker).await.unwrap();
        importer.run(&registry, begun, worker).await.unwrap()
    };
    let turn = |at: usize, status: &str| {
        double.entries.lock().unwrap()[at]["_meta"]["io.modelcontextprotocol.registry/official"]["status"] =
            json!(status);
    };
    import().await;
    assert_eq!(shadowed().await, "t");
    turn(0, "deleted");
    turn(1, "deprecated");
    import().await;
    assert_eq!(shadowed().await, "t", "the other still hides it");
    let other = db.database.catalog_server_get(&Caller::service(), "io.example/b").await.unwrap();
    assert_eq!(other.meta["io.agentopia/status"], "deprecated");
    turn(1, "deleted");
    import().await;
    assert_eq!(shadowed().await, "f");
}

#[tokio::test]
async fn a_deleted_server_is_found_no_more() {
    let (db, importer) = setup().await;
    let double = Double::with(ten());
    let registry = double.registry().await;
    let service = Caller::service();
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&service, registry.url(), false, worker).await.unwrap();
    importer.run(&registry, begun, worker).await.unwrap();
    importer.index().await;
    let embedded = "select count(*) from app.catalog_embedding e join app.catalog_server s on s.id = e.server_id where s.name like 'io.example/%'";
    assert_eq!(db.value(embedded).await.unwrap(), "10");
    double.entries.lock().unwrap()[0]["_meta"]["io.modelcontextprotocol.registry/official"]["status"] =
        json!("deleted");
    let begun = db.database.catalog_import_begin(&service, registry.url(), true, worker).await.unwrap();
    let done = importer.run(&registry, begun, worker).await.unwrap();
    assert_eq!(done.removed, 1);
    assert_eq!(db.value(embedded).await.unwrap(), "9");
    let gone = db.database.catalog_server_get(&service, "io.example/server-0").await.unwrap_err();
    assert!(matches!(gone, Error::NotFound { .. }), "{gone}");
    assert!(db.database.catalog_server_get(&service, "io.example/server-1").await.is_ok());
}

#[tokio::test]
async fn the_seeds_instructions_survive_an_import_of_the_same_package() {
    let (db, importer) = setup().await;
    db.run(include_str!("../../../../supabase/seed.sql")).await;
    let mut same = entry("io.github.modelcontextprotocol/github", "As the registry describes it");
    same["server"]["packages"][0]["identifier"] = json!("@modelcontextprotocol/server-github");
    same["_meta"]["io.modelcontextprotocol.registry/official"]["status"] = json!("deprecated");
    let mut renamed = entry("io.example/linear", "The same package by another name");
    renamed["server"]["packages"][0]["identifier"] = json!("@tacticlaunch/mcp-linear");
    let registry = Double::with(vec![same, renamed]).registry().await;
    let worker = Uuid::new_v4();
    let begun = db.database.catalog_import_begin(&Caller::service(), registry.url(), false, worker).await.unwrap();
    importer.run(&registry, begun, worker).await.unwrap();
    for (name, key) in [
        ("io.github.modelcontextprotocol/github", "GITHUB_PERSONAL_ACCESS_TOKEN"),
        ("io.example/linear", "LINEAR_API_TOKEN"),
    ] {
        let server = db.database.catalog_server_get(&Caller::service(), name).await.unwrap();
        assert!(server.meta["io.agentopia/instructions"][key].is_array(), "{name}");
        assert_eq!(server.packages[0].environment_variables[0].name, key);
    }
    let shadowed =
        db.value("select shadowed from app.catalog_server where name = 'io.github.tacticlaunch/mcp-linear'").await;
    assert_eq!(shadowed.as_deref(), Some("t"));
    // With the next start the seed comes again, and takes nothing back that the registry said.
    db.run(include_str!("../../../../supabase/seed.sql")).await;
    let github =
        db.database.catalog_server_get(&Caller::service(), "io.github.modelcontextprotocol/github").await.unwrap();
    assert_eq!(github.meta["io.agentopia/status"], "deprecated");
}

#[tokio::test]
async fn where_a_process_stops_with_its_answer_each_call_goes_on() {
    let (db, importer) = setup().await;
    let registry = Double::with(ten()).registry().await;
    let begun = importer.work(&registry, false, Duration::ZERO).await.unwrap();
    assert_eq!(begun.state, ImportState::Running);
    let done = importer.work(&registry, false, Duration::from_secs(60)).await.unwrap();
    assert_eq!((done.id, done.state, done.imported), (begun.id, ImportState::Complete, 10));
    let missing = "select count(*) from app.catalog_server s left join app.catalog_embedding e on e.server_id = s.id
        where e.server_id is null";
    assert_eq!(db.value(missing).await.as_deref(), Some("0"), "its vectors are made before it answers");
}

#[tokio::test]
async fn only_the_service_writes() {
    let (db, _) = setup().await;
    let user = testkit::user(&db).await;
    let begin = |caller: Caller| {
        let database = db.database.clone();
        async move { database.catalog_import_begin(&caller, "http://x.example", false, Uuid::new_v4()).await }
    };
    for caller in [Caller::user(user), Caller::anonymous()] {
        assert!(matches!(begin(caller).await.unwrap_err(), Error::Forbidden { .. }));
    }
    assert!(begin(Caller::service()).await.is_ok());
}
