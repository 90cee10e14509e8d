//! An agent from the configuration of an MCP client.

use crate::app::{App, request};
use database::Caller;
use serde_json::{Value, json};

#[tokio::test]
async fn a_configuration_becomes_an_agent_with_servers_grants_and_desired_state() {
    let app = App::new().await;
    let (user, toolbox) = app.user().await;
    let servers = json!({
        "time": {"command": "uvx", "args": ["mcp-server-time", "--local-timezone=UTC"]},
        "My Memory!": {"command": "npx", "args": ["-y", "@modelcontextprotocol/server-memory"], "env": {"LEVEL": "info"}},
    });
    let id = app.agent(user, servers).await;
    assert_eq!(app.servers(user, toolbox).await, ["my-memory", "time"]);
    let (status, agent) = app.ask(user, "GET", &format!("/api/agents/{id}"), Value::Null).await;
    assert_eq!(status, 200);
    assert_eq!((&agent["kind"], &agent["request"]), (&json!("made"), &json!("Tell me the time")));
    assert_eq!(agent["servers"], json!(["my-memory", "time"]));
    assert_eq!(agent["workflow"], json!({"steps": ["look", "tell"]}));
    assert_eq!(agent["plan"]["capabilities"][1]["need"], "Tells the time");
    let toolbox = app.db.database.toolbox_get(&Caller::user(user), toolbox).await.unwrap();
    assert_eq!(toolbox.generation, 1);
    // The agent's two grants, and the same for the user's own agent.
    let grants = app.db.database.grant_list(&Caller::user(user), None).await.unwrap();
    assert_eq!(grants.len(), 4);
    assert!(grants.iter().all(|grant| grant.tool == "*"));
}

#[tokio::test]
async fn a_secret_reaches_the_vault_and_no_other_row() {
    let app = App::new().await;
    let (user, toolbox) = app.user().await;
    let (token, password) = ("ghp_0123456789abcdefghij", "correct-horse-battery");
    let mut body = request(json!({
        "github": {
            "command": "npx",
            "args": ["-y", "some-github-server", "--db", format!("postgresql://me:{password}@db.example.com/app")],
            "env": {"GITHUB_TOKEN": token, "LEVEL": "info"},
        },
    }));
    body["user_prompt"] = json!(format!("Use my token {token} and look"));
    body["workflow"] = json!({"note": token});
    body["mcp_server_info"]["servers"][0]["description"] = json!(token);
    let (status, made) = app.ask(user, "POST", "/api/agents/create", body).await;
    assert_eq!(status, 201, "{made}");
    for table in ["agent", "server", "session", "credential", "credential_version", "access", "tool_grant"] {
        let rows = app.db.rows(&format!("select to_jsonb(t)::text from app.{table} t")).await;
        for row in rows.into_iter().flatten().flatten() {
            assert!(!row.contains(token) && !row.contains(password), "{table}: {row}");
        }
    }
    let server = app.db.database.server_list(&Caller::user(user), toolbox).await.unwrap().remove(0);
    assert_eq!(server.spec.secrets, ["ARGUMENT_2_SECRET", "GITHUB_TOKEN"]);
    assert_eq!(server.spec.args, ["--db", "{ARGUMENT_2_SECRET}"]);
    assert_eq!(server.spec.env.keys().collect::<Vec<_>>(), ["LEVEL"]);
    // The positive control: the toolbox that runs it gets them.
    let released = app.vault.release(&Caller::toolbox(toolbox, user), server.spec.id).await.unwrap();
    assert!(released.missing.is_empty());
    let mut values: Vec<_> = released.credentials.iter().map(|plain| plain.value.expose()).collect();
    values.sort_unstable();
    assert_eq!(values, [token, &format!("postgresql://me:{password}@db.example.com/app")]);
}

#[tokio::test]
async fn what_the_catalog_calls_secret_is_secret() {
    let app = App::new().await;
    let (user, toolbox) = app.user().await;
    let entry = json!({
        "name": "com.example/notes", "description": "Notes", "version": "1.0.0",
        "packages": [{
            "registryType": "npm", "identifier": "notes-server", "version": "1.0.0",
            "environmentVariables": [{"name": "WORKSPACE", "isRequired": true, "isSecret": true}],
        }],
    });
    let upsert = json!({"source": "test", "servers": [entry]});
    let _: Value = app.db.database.call(&Caller::service(), "catalog_server_upsert", &upsert).await.unwrap();
    let servers =
        json!({"n": {"command": "npx", "args": ["notes-server"], "env": {"WORKSPACE": "blue", "LEVEL": "info"}}});
    app.agent(user, servers).await;
    let server = app.db.database.server_list(&Caller::user(user), toolbox).await.unwrap().remove(0);
    assert_eq!(server.catalog_name.as_deref(), Some("com.example/notes"));
    assert_eq!(server.spec.secrets, ["WORKSPACE"]);
    assert_eq!(server.spec.env.keys().collect::<Vec<_>>(), ["LEVEL"]);
    let kept = app.db.database.credential_list(&Caller::user(user)).await.unwrap();
    assert_eq!((kept[0].server.as_str(), kept[0].key.as_str()), ("com.example/notes", "WORKSPACE"));
}

/// Of the same entry of the catalog, whichever version its user did not ask for is no substitute.
#[tokio::test]
async fn a_version_that_is_pinned_is_the_one_that_runs() {
    let app = App::new().await;
    let (user, toolbox) = app.user().await;
    let entry = json!({
        "name": "com.example/notes", "description": "Notes", "version": "1.0.0",
        "packages": [{"registryType": "npm", "identifier": "notes-server", "version": "1.0.0"}],
    });
    let upsert = json!({"source": "test", "servers": [entry]});
    let _: Value = app.db.database.call(&Caller::service(), "catalog_server_upsert", &upsert).await.unwrap();
    for argument in ["notes-server@1.0.0", "notes-server@2.0.0", "notes-server", "notes-server@2.0.0"] {
        app.agent(user, json!({"notes": {"command": "npx", "args": [argument]}})).await;
    }
    let servers = app.db.database.server_list(&Caller::user(user), toolbox).await.unwrap();
    let versions: Vec<_> =
        servers.iter().map(|server| serde_json::to_value(&server.spec.source).unwrap()["version"].clone()).collect();
    // Who says none shares what is there.
    assert_eq!(versions, ["1.0.0", "2.0.0"]);
    assert!(servers.iter().all(|server| server.catalog_name.as_deref() == Some("com.example/notes")));
}

#[tokio::test]
async fn what_cannot_run_makes_nothing() {
    let app = App::new().await;
    let (user, toolbox) = app.user().await;
    for (servers, status) in [
        (json!({}), 422),
        (json!({"a": {"command": "bash", "args": ["-c", "true"]}}), 422),
        (json!({"a": {"command": "docker", "args": ["run", "-v", "/:/h", "x"]}}), 422),
        (json!({"a": {"command": "npx", "args": ["a"], "env": {"LD_PRELOAD": "/tmp/x.so"}}}), 422),
        (json!({"good": {"command": "npx", "args": ["a"]}, "bad": {"command": "npx", "args": ["../../etc"]}}), 422),
    ] {
        let (seen, problem) = app.ask(user, "POST", "/api/agents/create", request(servers.clone())).await;
        assert_eq!(seen, status, "{servers}: {problem}");
        assert!(problem["fix"].is_string());
    }
    assert!(app.servers(user, toolbox).await.is_empty());
    assert_eq!(app.db.value("select count(*)::text from app.agent where kind = 'made'").await.as_deref(), Some("0"));
    app.agent(user, json!({"good": {"command": "npx", "args": ["a"]}})).await;
}

#[tokio::test]
async fn without_a_toolbox_the_answer_says_how_to_get_one() {
    let app = App::new().await;
    let user = testkit::user(&app.db).await;
    let body = request(json!({"time": {"command": "uvx", "args": ["mcp-server-time"]}}));
    let (status, problem) = app.ask(user, "POST", "/api/agents/create", body).await;
    assert_eq!(status, 409);
    assert!(problem["fix"].as_str().unwrap().contains("/api/toolboxes"), "{problem}");
}
