//! No user, toolbox or stranger sees or changes another user's row, in whatever table: a row is put into each table that
//! has a policy on `auth.uid()`, and everybody looks at it the way the functions of `api` do.

use database::embedded::Admin;
use protocol::ids::{ToolboxId, UserId};
use serde_json::{Value, json};
use testkit::TestDatabase;

/// Each private table: its name, the column that names its user, and the one that names its toolbox where it has one.
const PRIVATE: &str = r"
select polrelid::regclass,
       max(substring(asks from '\m(\w+) = \( SELECT auth\.uid\(\)')) as owner,
       max(substring(asks from '\m(\w+) = \( SELECT app\.toolbox_id\(\)')) as toolbox,
       bool_or(polcmd in ('*', 'r') and asks ~ '''authenticated''') as shown,
       bool_or(polcmd in ('*', 'w') and asks ~ '''authenticated''') as changed,
       bool_or(polcmd in ('*', 'd') and asks ~ '''authenticated''') as deleted
  from pg_policy, lateral (select coalesce(pg_get_expr(polqual, polrelid), '') || ' '
                               || coalesce(pg_get_expr(polwithcheck, polrelid), '') as asks) _
 where polrelid::regclass::text like 'app.%'
 group by polrelid having bool_or(asks ~ 'auth\.uid\(\)') order by 1";

/// Any row will do, so nothing is asked of it: this database is the test's own.
const UNCHECKED: &str = "
do $$ declare c record; begin
  for c in select conrelid::regclass as name, conname from pg_constraint
            where contype in ('c', 'f') and conrelid::regclass::text like 'app.%' loop
    execute format('alter table %s drop constraint %I', c.name, c.conname);
  end loop;
  for c in select tgrelid::regclass as name, tgname from pg_trigger
            where not tgisinternal and tgrelid::regclass::text like 'app.%' loop
    execute format('drop trigger %I on %s', c.tgname, c.name);
  end loop;
end $$";

struct Table {
    name: String,
    owner: String,
    toolbox: Option<String>,
    shown: bool,
    changed: bool,
    deleted: bool,
}

async fn private_tables(db: &TestDatabase) -> Vec<Table> {
    let rows = db.rows(PRIVATE).await.into_iter().map(|row| {
        let [name, owner, toolbox, shown, changed, deleted] = row.try_into().expect("six columns");
        let name = name.expect("a table");
        let yes = |text: Option<String>| text.as_deref() == Some("t");
        let owner = owner.unwrap_or_else(|| panic!("no policy of {name} compares a column with auth.uid()"));
        Table { name, owner, toolbox, shown: yes(shown), changed: yes(changed), deleted: yes(deleted) }
    });
    rows.collect()
}

/// Puts a row of `user` and `toolbox` into the table.
async fn fill(db: &TestDatabase, table: &Table, user: UserId, toolbox: ToolboxId) {
    let columns = db
        .rows(&format!(
            "select attname, format_type(atttypid, null), attnotnull and not atthasdef and attidentity = '' from pg_attribute
              where attrelid = '{}'::regclass and attnum > 0 and not attisdropped and attgenerated = ''",
            table.name
        ))
        .await;
    let (mut names, mut values) = (Vec::new(), Vec::new());
    for column in columns {
        let [name, kind, needed] = column.try_into().expect("three columns");
        let (name, kind) = (name.expect("a name"), kind.expect("a type"));
        let value = if name == table.owner {
            format!("'{user}'")
        } else if Some(&name) == table.toolbox.as_ref() {
            format!("'{toolbox}'")
        } else if needed.as_deref() != Some("t") {
            continue;
        } else {
            match kind.as_str() {
                "uuid" => "gen_random_uuid()".into(),
                "text" => "'x'".into(),
                "jsonb" => "'{}'".into(),
                "text[]" => "'{}'".into(),
                "boolean" => "false".into(),
                "integer" | "bigint" | "smallint" | "real" | "double precision" | "numeric" => "1".into(),
                "timestamp with time zone" => "now()".into(),
                other => panic!("{}.{name}: say here what a {other} may be", table.name),
            }
        };
        names.push(name);
        values.push(value);
    }
    db.run(&format!("insert into {} ({}) values ({})", table.name, names.join(", "), values.join(", "))).await;
}

/// What a function of `api` finds when `claims` call it: rows that `statement` returns. Nothing stays.
async fn as_caller(admin: &Admin, claims: &Value, statement: &str) -> usize {
    let begin =
        format!("begin; select set_config('request.jwt.claims', '{claims}', true); set local role agentopia_owner");
    admin.run("claims", &begin).await.expect("claims can be set");
    let rows = admin.rows(statement).await.unwrap_or_else(|error| panic!("{statement}: {error}"));
    admin.run("rollback", "rollback").await.expect("undone");
    rows.len()
}

#[tokio::test]
async fn nobody_reaches_another_users_rows_in_any_table() {
    let db = testkit::database().await;
    let (ann, bob) = (testkit::user(&db).await, testkit::user(&db).await);
    let (anns, bobs) = (ToolboxId::new(), ToolboxId::new());
    let tables = private_tables(&db).await;
    assert!(!tables.is_empty(), "there are private tables");
    db.run(UNCHECKED).await;
    for table in &tables {
        fill(&db, table, ann, anns).await;
    }
    let admin = db.admin().await;
    let owner = json!({"role": "authenticated", "sub": ann});
    let strangers = [
        json!({"role": "authenticated", "sub": bob}),
        json!({"role": "toolbox", "sub": bob, "toolbox_id": bobs}),
        // A toolbox's claims are the edge's; even so, one of the two is not enough to be somebody's user.
        json!({"role": "anon"}),
        json!({"role": "authenticated"}),
        json!({"role": "anon", "sub": ann}),
        json!({}),
    ];
    for Table { name, owner: column, shown, changed, deleted, .. } in &tables {
        let statements = [
            (*shown, format!("select from {name}")),
            (*changed && *shown, format!("update {name} set {column} = {column} returning 1")),
            (*deleted && *shown, format!("delete from {name} returning 1")),
        ];
        for (allowed, statement) in &statements {
            for stranger in &strangers {
                assert_eq!(as_caller(&admin, stranger, statement).await, 0, "{stranger}: {statement}");
            }
            // The positive control: whose row it is does reach it, where a policy means it to.
            if *allowed {
                assert_eq!(as_caller(&admin, &owner, statement).await, 1, "{owner}: {statement}");
            }
        }
    }
}

#[tokio::test]
async fn nobody_gives_a_row_to_somebody_else() {
    let db = testkit::database().await;
    let (ann, bob) = (testkit::user(&db).await, testkit::user(&db).await);
    let tables = private_tables(&db).await;
    db.run(UNCHECKED).await;
    let admin = db.admin().await;
    for table in &tables {
        fill(&db, table, ann, ToolboxId::new()).await;
        if !(table.changed && table.shown) {
            continue;
        }
        let Table { name, owner, .. } = table;
        let give = format!("update {name} set {owner} = '{bob}'");
        let claims = json!({"role": "authenticated", "sub": ann});
        let begin =
            format!("begin; select set_config('request.jwt.claims', '{claims}', true); set local role agentopia_owner");
        admin.run("claims", &begin).await.expect("claims can be set");
        let given = admin.rows(&give).await;
        admin.run("rollback", "rollback").await.expect("undone");
        assert!(given.is_err(), "{give}");
    }
}
