//! The gate in a real Postgres: who may call, what a refusal becomes.

use database::{Caller, Error, embedded::Admin};
use protocol::ids::ToolboxId;
use serde_json::{Value, json};

/// Functions that only these tests have.
const PROBES: &str = "
create function api.probe_whoami(jsonb) returns jsonb language sql security definer set search_path = ''
  as $$ select jsonb_build_object('uid', auth.uid(), 'role', auth.role(), 'toolbox', app.toolbox_id(), 'argument', $1,
                                  'login', session_user) $$;
create function api.probe_refuse(jsonb) returns jsonb language plpgsql security definer set search_path = ''
  as $$ begin raise exception using errcode = $1 ->> 'code', message = 'no such thing', hint = 'look elsewhere'; end $$;
create function api.probe_nothing(jsonb) returns jsonb language sql security definer set search_path = ''
  as $$ select null::jsonb $$;
create function api.probe_service(jsonb) returns jsonb language sql security definer set search_path = ''
  as $$ select to_jsonb(1) $$;
grant execute on function api.probe_whoami(jsonb), api.probe_refuse(jsonb), api.probe_nothing(jsonb)
  to anon, authenticated, toolbox, service;
grant execute on function api.probe_service(jsonb) to service;
call gate.adopt();
";

async fn probed() -> testkit::TestDatabase {
    let db = testkit::database().await;
    db.run(PROBES).await;
    db
}

#[tokio::test]
async fn a_call_carries_its_callers_claims() {
    let db = probed().await;
    let user = testkit::user(&db).await;
    let toolbox = ToolboxId::new();
    let ask = async |caller: Caller| {
        db.database.call::<Value>(&caller, "probe_whoami", &json!({"a": [1, null]})).await.expect("allowed")
    };
    let seen = ask(Caller::user(user)).await;
    assert_eq!(seen["uid"], json!(user));
    assert_eq!(seen["role"], "authenticated");
    assert_eq!(seen["argument"], json!({"a": [1, null]}));
    assert_eq!(seen["login"], "agentopia_login");
    let seen = ask(Caller::toolbox(toolbox, user)).await;
    assert_eq!((&seen["toolbox"], &seen["uid"]), (&json!(toolbox), &json!(user)));
    // The claims of the call before, on the same connection, are gone.
    let seen = ask(Caller::anonymous()).await;
    assert_eq!((&seen["toolbox"], &seen["uid"], &seen["role"]), (&Value::Null, &Value::Null, &json!("anon")));
    assert_eq!(ask(Caller::service()).await["role"], "service");
}

#[tokio::test]
async fn a_null_result_is_none() {
    let db = probed().await;
    let nothing: Option<Value> =
        db.database.call(&Caller::service(), "probe_nothing", &json!({})).await.expect("allowed");
    assert_eq!(nothing, None);
    let () = db.database.call(&Caller::service(), "probe_nothing", &json!({})).await.expect("allowed");
}

#[tokio::test]
async fn every_refusal_keeps_its_message_and_fix() {
    let db = probed().await;
    let refuse = async |code: &str| {
        db.database.call::<()>(&Caller::anonymous(), "probe_refuse", &json!({"code": code})).await.expect_err("refused")
    };
    for code in ["PT400", "PT403", "PT404", "PT409", "PT422", "PT429"] {
        let error = refuse(code).await;
        let (Error::Invalid { message, fix }
        | Error::Forbidden { message, fix }
        | Error::NotFound { message, fix }
        | Error::Conflict { message, fix }
        | Error::TooMany { message, fix }) = &error
        else {
            panic!("{code} became {error:?}")
        };
        assert_eq!((message.as_str(), fix.as_str()), ("no such thing", "look elsewhere"), "{code}");
    }
    assert!(matches!(refuse("PT400").await, Error::Invalid { .. }));
    // Postgres itself refuses a NUL: no text holds one.
    assert!(matches!(refuse("PT\u{0}400").await, Error::Invalid { .. }));
    assert!(matches!(refuse("PT403").await, Error::Forbidden { .. }));
    assert!(matches!(refuse("PT404").await, Error::NotFound { .. }));
    assert!(matches!(refuse("PT409").await, Error::Conflict { .. }));
    assert!(matches!(refuse("PT422").await, Error::Invalid { .. }));
    assert!(matches!(refuse("PT429").await, Error::TooMany { .. }));
    assert!(matches!(refuse("57014").await, Error::Unavailable(_)));
    assert!(matches!(refuse("22012").await, Error::Unexpected(_)));
}

#[tokio::test]
async fn a_function_is_for_the_roles_that_it_was_granted_to() {
    let db = probed().await;
    let user = testkit::user(&db).await;
    for caller in [Caller::anonymous(), Caller::user(user), Caller::toolbox(ToolboxId::new(), user)] {
        let error = db.database.call::<Value>(&caller, "probe_service", &json!({})).await.expect_err("refused");
        assert!(matches!(error, Error::Forbidden { .. }), "{caller:?}: {error:?}");
    }
    let allowed = db.database.call::<Value>(&Caller::service(), "probe_service", &json!({})).await;
    assert_eq!(allowed.expect("granted"), json!(1));
}

/// The login role is all that a leaked connection string gives.
#[tokio::test]
async fn the_login_reaches_nothing_but_the_gate() {
    let db = probed().await;
    let login = Admin::connect(&db.url).await.expect("the login may connect");
    for forbidden in [
        "select api.probe_whoami('{}')",
        "select app.toolbox_id()",
        "select * from auth.users",
        "create table public.mine ()",
        "create table app.mine ()",
        "call gate.adopt()",
        "set role agentopia_owner",
        "set role postgres",
        "set role service_role",
        // Neither function names nor roles get out of where they belong.
        "select gate.call('{\"role\": \"service\"}', 'probe_whoami(null) from pg_class --', '{}')",
        "select gate.call('{\"role\": \"postgres\"}', 'probe_whoami', '{}')",
        "select gate.call('{\"role\": \"service_role\"}', 'probe_whoami', '{}')",
        "select gate.call('{\"role\": \"authenticated\"}', 'probe_whoami', '{}')",
        "select gate.call('{\"role\": \"toolbox\", \"sub\": \"6f2f8f1e-0000-7000-8000-000000000000\"}', 'probe_whoami', '{}')",
        "select gate.call('{}', 'probe_whoami', '{}')",
        "select gate.call(null, 'probe_whoami', '{}')",
    ] {
        assert!(login.rows(forbidden).await.is_err(), "{forbidden}");
    }
    let allowed = "select gate.call('{\"role\": \"anon\"}', 'probe_whoami', '{}')";
    assert_eq!(login.rows(allowed).await.expect("this is the gate").len(), 1);
}

/// Who has become a caller cannot become another one by calling the gate again.
#[tokio::test]
async fn a_caller_cannot_pass_the_gate_twice() {
    let db = probed().await;
    let login = Admin::connect(&db.url).await.expect("the login may connect");
    let call = |role: &str| format!("select gate.call('{{\"role\": \"{role}\"}}', 'probe_whoami', '{{}}');");
    assert!(login.run("twice", &format!("begin; {} {} commit;", call("anon"), call("service"))).await.is_err());
    login.run("rollback", "rollback").await.expect("rolled back");
    login.run("once", &call("service")).await.expect("once is fine");
}

/// An operator's own Postgres: what its superuser may is not what a call may.
#[tokio::test]
async fn a_superusers_connection_can_be_lowered_to_the_login_role() {
    let db = probed().await;
    let open = |lower| {
        let options = database::Options { lower, ..Default::default() };
        database::Database::direct(&db.admin_url, &options).expect("a URL")
    };
    let user = testkit::user(&db).await;
    let seen: Value =
        open(true).call(&Caller::user(user), "probe_whoami", &json!({})).await.expect("the login role may call");
    assert_eq!((&seen["uid"], &seen["role"]), (&json!(user), &json!("authenticated")));
    db.run("revoke execute on function gate.call from agentopia_login").await;
    let refused = open(true).call::<Value>(&Caller::user(user), "probe_whoami", &json!({})).await;
    assert!(refused.is_err(), "{refused:?}");
    // The positive control: as itself a superuser needs no leave.
    open(false).call::<Value>(&Caller::user(user), "probe_whoami", &json!({})).await.expect("a superuser may");
}
