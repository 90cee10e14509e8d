//! The rules of the house, read from the catalog of a migrated database: they hold for tables and functions that are still to come.

use testkit::TestDatabase;

/// Runs a query whose rows are violations, each said in its first column.
async fn none(db: &TestDatabase, rule: &str, violations: &str) {
    let found: Vec<_> = db.rows(violations).await.into_iter().flatten().flatten().collect();
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

#[tokio::test]
async fn every_table_forces_row_level_security_and_has_a_policy() {
    let db = testkit::database().await;
    let count = "select count(*) from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')";
    assert_ne!(db.value(count).await.as_deref(), Some("0"), "there are tables to look at");
    none(
        &db,
        "row-level security is on and forced, and agentopia_owner is the owner",
        "
        select oid::regclass from pg_class where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')
           and not (relrowsecurity and relforcerowsecurity and relowner = 'agentopia_owner'::regrole)",
    )
    .await;
    none(
        &db,
        "a table without a policy shows nothing to anybody",
        "
        select c.oid::regclass from pg_class c where relnamespace = 'app'::regnamespace and relkind in ('r', 'p')
           and not exists (select from pg_policy where polrelid = c.oid)",
    )
    .await;
    none(
        &db,
        "tables lie in app",
        "
        select oid::regclass from pg_class
         where relnamespace::regnamespace::text in ('api', 'gate', 'public') and relkind in ('r', 'p', 'f')",
    )
    .await;
    none(
        &db,
        "nobody but the owner has a right on a table",
        "
        select c.oid::regclass || ' to ' || coalesce(nullif(acl.grantee, 0)::regrole::text, 'public')
          from pg_class c, aclexplode(c.relacl) acl
         where c.relnamespace = 'app'::regnamespace and acl.grantee <> c.relowner",
    )
    .await;
    none(
        &db,
        "a view sees what its caller sees",
        "
        select oid::regclass from pg_class where relnamespace::regnamespace::text in ('app', 'api') and relkind = 'v'
           and not coalesce(reloptions @> '{security_invoker=true}', false)",
    )
    .await;
    none(
        &db,
        "a materialized view knows no row-level security",
        "
        select oid::regclass from pg_class where relnamespace::regnamespace::text in ('app', 'api') and relkind = 'm'",
    )
    .await;
}

#[tokio::test]
async fn policies_are_fast_and_trust_no_metadata() {
    let db = testkit::database().await;
    // Everything that a policy asks, as Postgres prints it.
    let asked = "select polrelid::regclass || '.' || polname as policy, polrelid, oid,
        coalesce(pg_get_expr(polqual, polrelid), '') || ' ' || coalesce(pg_get_expr(polwithcheck, polrelid), '') as asks from pg_policy";
    none(
        &db,
        "a claim is read once for a statement, not for each row: (select auth.uid())",
        &format!(
            "select policy from ({asked}) p
          where regexp_replace(asks, '\\( SELECT (auth\\.uid|auth\\.role|app\\.toolbox_id)\\(\\) AS \\w+\\)', '', 'g')
                ~ '(auth\\.(uid|role|jwt)|app\\.toolbox_id|current_setting)'"
        ),
    )
    .await;
    none(&db, "users write their own metadata", &format!("select policy from ({asked}) p where asks ~ 'meta_?data'"))
        .await;
    none(
        &db,
        "a policy is for everybody: functions run as their owner",
        "
        select polrelid::regclass || '.' || polname from pg_policy
         where not polroles <@ array[0::oid, 'agentopia_owner'::regrole::oid]",
    )
    .await;
    none(
        &db,
        "an id that a policy compares is the first column of an index",
        "
        select distinct p.polrelid::regclass || '.' || a.attname
          from pg_policy p
          join pg_depend d on d.classid = 'pg_policy'::regclass and d.objid = p.oid
               and d.refclassid = 'pg_class'::regclass and d.refobjsubid > 0
          join pg_attribute a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
         where a.atttypid = 'uuid'::regtype
           and not exists (select from pg_index i where i.indrelid = d.refobjid and i.indkey[0] = d.refobjsubid)",
    )
    .await;
}

#[tokio::test]
async fn every_function_is_closed_until_it_is_granted() {
    let db = testkit::database().await;
    let functions = "from pg_proc p where p.pronamespace::regnamespace::text in ('app', 'api', 'gate')";
    none(
        &db,
        "public executes nothing",
        &format!(
            "select p.oid::regprocedure {functions} and (p.proacl is null
           or exists (select from aclexplode(p.proacl) acl where acl.grantee = 0))"
        ),
    )
    .await;
    none(
        &db,
        "the search path is empty",
        &format!(
            "select p.oid::regprocedure {functions} and not coalesce(p.proconfig @> array['search_path=\"\"'], false)"
        ),
    )
    .await;
    none(
        &db,
        "agentopia_owner is the owner",
        &format!("select p.oid::regprocedure {functions} and p.proowner <> 'agentopia_owner'::regrole"),
    )
    .await;
    none(
        &db,
        "only agentopia's callers are granted anything",
        &format!(
            "select p.oid::regprocedure || ' to ' || acl.grantee::regrole from pg_proc p, aclexplode(p.proacl) acl
          where p.pronamespace::regnamespace::text in ('app', 'api') and acl.grantee <> 0 and acl.grantee <> p.proowner
            and (p.pronamespace = 'app'::regnamespace
              or acl.grantee::regrole::text not in ('anon', 'authenticated', 'toolbox', 'service'))"
        ),
    )
    .await;
}

#[tokio::test]
async fn every_operation_has_the_shape_that_both_doors_call() {
    let db = testkit::database().await;
    none(&db, "api.noun_verb(jsonb) returns jsonb, its parameter unnamed, security definer", "
        select p.oid::regprocedure from pg_proc p where p.pronamespace = 'api'::regnamespace
           and not (p.pronargs = 1 and p.proargtypes[0] = 'jsonb'::regtype and p.prorettype = 'jsonb'::regtype
             and coalesce(array_to_string(p.proargnames, ''), '') = '' and not p.proretset and p.prosecdef and p.prokind = 'f'
             and p.proname ~ '^[a-z][a-z0-9_]*$')").await;
    none(
        &db,
        "an operation that nobody may call",
        "
        select p.oid::regprocedure from pg_proc p where p.pronamespace = 'api'::regnamespace
           and not exists (select from aclexplode(p.proacl) acl where acl.grantee <> p.proowner)",
    )
    .await;
}

#[tokio::test]
async fn login_roles_own_nothing_and_bypass_nothing() {
    let db = testkit::database().await;
    none(&db, "a login role owns something", "
        select s.refobjid::regrole || ': ' || pg_describe_object(s.classid, s.objid, s.objsubid)
          from pg_shdepend s where s.deptype = 'o'
           and s.refobjid::regrole::text in ('agentopia_login', 'authenticator', 'anon', 'authenticated', 'toolbox', 'service')").await;
    none(&db, "a role that serves requests has powers", "
        select rolname from pg_roles
         where rolname in ('agentopia_login', 'agentopia_owner', 'authenticator', 'anon', 'authenticated', 'toolbox', 'service')
           and (rolsuper or rolbypassrls or rolcreaterole or rolcreatedb or rolreplication)").await;
    none(
        &db,
        "a login role inherits nothing, and the owner does not log in",
        "
        select rolname from pg_roles where (rolname in ('agentopia_login', 'authenticator') and rolinherit)
            or (rolname in ('agentopia_owner', 'toolbox', 'service') and rolcanlogin)",
    )
    .await;
    none(
        &db,
        "a login role becomes a caller and nobody else",
        "
        select roleid::regrole from pg_auth_members where member = 'agentopia_login'::regrole
           and roleid::regrole::text not in ('anon', 'authenticated', 'toolbox', 'service')",
    )
    .await;
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
