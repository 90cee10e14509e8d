//! The rules of the house, read from the catalog of a migrated database: they hold for tables and functions that are still to come.

mod rules;

use rules::RULES;
use testkit::TestDatabase;

/// What breaks a rule, each said in one text.
async fn broken(db: &TestDatabase, violations: &str) -> Vec<String> {
    db.rows(violations).await.into_iter().flatten().flatten().collect()
}

#[tokio::test]
async fn no_rule_is_broken() {
    let db = testkit::database().await;
    let tables = "select count(*) from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')";
    assert_ne!(db.value(tables).await.as_deref(), Some("0"), "there are tables to look at");
    for rule in RULES {
        let found = broken(&db, rule.violations).await;
        assert!(found.is_empty(), "{}:\n  {}", rule.says, found.join("\n  "));
    }
}

/// A rule that notices nothing would pass for ever.
#[tokio::test]
async fn every_rule_notices_what_breaks_it() {
    let db = testkit::database().await;
    for rule in RULES {
        let admin = db.admin().await;
        admin.run("begin", "begin").await.expect("a transaction");
        admin.run("mischief", rule.mischief).await.expect("a superuser may do this");
        let noticed = admin.rows(rule.violations).await.expect("the rule can be asked");
        admin.run("rollback", "rollback").await.expect("undone");
        assert!(!noticed.is_empty(), "nobody noticed: {}", rule.says);
    }
}

/// A wrapper that calls a function which is not there fails only when somebody uses it.
#[tokio::test]
async fn every_function_that_a_wrapper_calls_exists() {
    let db = testkit::database().await;
    let exist: Vec<_> = db.rows("select proname from pg_proc where pronamespace = 'api'::regnamespace").await.concat();
    let sources = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).expect("our own sources");
    let mut called = 0;
    for source in sources.map(|entry| entry.expect("our own sources").path()).filter(|path| path.is_file()) {
        let text = std::fs::read_to_string(&source).expect("our own sources");
        for call in text.split(".call(").skip(1) {
            // `.call(caller, "noun_verb", ...)`; the doors themselves pass a variable.
            let Some(name) = call.split(')').next().and_then(|inside| inside.split('"').nth(1)) else { continue };
            assert!(
                exist.contains(&Some(name.to_owned())),
                "{} calls api.{name}, which is not there",
                source.display()
            );
            called += 1;
        }
    }
    assert!(called > 0, "there are wrappers to look at");
}
