//! Seeing, changing and deleting agents; nobody sees another's.

use crate::app::App;
use database::{Caller, server::Wanted};
use protocol::{ids::AgentId, server::Source};
use serde_json::{Value, json};

fn npx(package: &str) -> Value {
    json!({package: {"command": "npx", "args": ["-y", package]}})
}

#[tokio::test]
async fn a_user_has_an_agent_of_their_own_from_the_start() {
    let app = App::new().await;
    let (user, _) = app.user().await;
    let (_, list) = app.ask(user, "GET", "/api/agents", Value::Null).await;
    assert_eq!(list.as_array().unwrap().len(), 1);
    assert_eq!(list[0]["kind"], "personal");
    let own = format!("/api/agents/{}", list[0]["id"].as_str().unwrap());
    let (status, problem) = app.ask(user, "DELETE", &own, Value::Null).await;
    assert_eq!(status, 409, "{problem}");
}

#[tokio::test]
async fn an_agent_is_renamed_and_nothing_else_of_it_changes() {
    let app = App::new().await;
    let (user, _) = app.user().await;
    let path = format!("/api/agents/{}", app.agent(user, npx("a")).await);
    let (_, before) = app.ask(user, "GET", &path, Value::Null).await;
    let (status, after) = app.ask(user, "PATCH", &path, json!({"name": "Clock"})).await;
    assert_eq!((status.as_u16(), &after["name"], &after["request"]), (200, &json!("Clock"), &before["request"]));
    for body in
        [json!({"name": ""}), json!({"name": "x".repeat(101)}), json!({"kind": "personal"}), json!({"epoch": 0})]
    {
        assert_eq!(app.ask(user, "PATCH", &path, body).await.0, 422);
    }
}

#[tokio::test]
async fn servers_go_with_the_last_agent_that_uses_them() {
    let app = App::new().await;
    let (user, toolbox) = app.user().await;
    let wanted = Wanted {
        name: None,
        suggested: "deployed".to_owned(),
        catalog_name: None,
        source: Source::Npx { package: "deployed".to_owned(), version: None },
        pinned: false,
        args: Vec::new(),
        env: Default::default(),
        secrets: Vec::new(),
        hosts: Vec::new(),
    };
    app.db.database.server_create(&Caller::user(user), toolbox, &wanted).await.unwrap();
    let both =
        json!({"shared": {"command": "npx", "args": ["shared"]}, "deployed": {"command": "npx", "args": ["deployed"]}});
    let first = app.agent(user, both).await;
    let second = app.agent(user, npx("shared")).await;
    assert_eq!(app.servers(user, toolbox).await, ["deployed", "shared"]);
    assert_eq!(app.ask(user, "DELETE", &format!("/api/agents/{first}"), Value::Null).await.0, 204);
    assert_eq!(app.servers(user, toolbox).await, ["deployed", "shared"]);
    assert_eq!(app.ask(user, "DELETE", &format!("/api/agents/{second}"), Value::Null).await.0, 204);
    assert_eq!(app.servers(user, toolbox).await, ["deployed"]);
    assert_eq!(app.ask(user, "GET", &format!("/api/agents/{second}"), Value::Null).await.0, 404);
}

#[tokio::test]
async fn another_users_agent_is_as_if_it_were_not_there() {
    let app = App::new().await;
    let ((owner, _), (stranger, _)) = (app.user().await, app.user().await);
    let id = app.agent(owner, npx("a")).await;
    let calls = [("GET", Value::Null), ("PATCH", json!({"name": "mine"})), ("DELETE", Value::Null)];
    for (method, body) in &calls {
        let (status, problem) = app.ask(stranger, method, &format!("/api/agents/{id}"), body.clone()).await;
        let (never, nothing) =
            app.ask(stranger, method, &format!("/api/agents/{}", AgentId::new()), body.clone()).await;
        assert_eq!((status.as_u16(), never.as_u16(), &problem["detail"]), (404, 404, &nothing["detail"]), "{method}");
    }
    let (_, list) = app.ask(stranger, "GET", "/api/agents", Value::Null).await;
    assert!(list.as_array().unwrap().iter().all(|agent| agent["id"] != json!(id)));
    // The positive control.
    for (method, body) in calls {
        assert!(app.ask(owner, method, &format!("/api/agents/{id}"), body).await.0.is_success(), "{method}");
    }
}

#[tokio::test]
async fn nothing_answers_without_a_token() {
    let app = App::new().await;
    for route in agents::ROUTES {
        let path = route.path.replace("{id}", &AgentId::new().to_string());
        for bearer in [None, Some("nonsense")] {
            assert_eq!(app.call(route.method, &path, bearer, json!({})).await.0, 401, "{} {path}", route.method);
        }
    }
}
