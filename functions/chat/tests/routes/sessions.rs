use crate::scene::Scene;
use http::StatusCode;
use serde_json::{Value, json};
use testkit::user;

#[tokio::test]
async fn a_session_is_made_read_and_deleted() {
    let scene = Scene::new().await;
    let (status, made) = scene.send(scene.owner, "POST", "/api/sessions/create", Value::Null).await;
    assert_eq!(status, StatusCode::CREATED);
    let id = made["session_id"].as_str().unwrap().to_owned();
    scene.say(json!({"message": "a ticket in linear", "session_id": id})).await;
    let (_, read) = scene.send(scene.owner, "GET", &format!("/api/sessions/{id}"), Value::Null).await;
    assert_eq!(read["status"], "pending_credentials");
    assert_eq!(read["required_credentials"][0]["credential_key"], "LINEAR_API_KEY");
    let roles: Vec<_> = read["messages"].as_array().unwrap().iter().map(|m| m["role"].clone()).collect();
    assert_eq!(roles, ["user", "assistant"]);
    let (status, _) = scene.send(scene.owner, "DELETE", &format!("/api/sessions/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, problem) = scene.send(scene.owner, "GET", &format!("/api/sessions/{id}"), Value::Null).await;
    assert_eq!(status, StatusCode::NOT_FOUND);
    assert!(problem["fix"].is_string());
}

#[tokio::test]
async fn anothers_session_is_not_there() {
    let scene = Scene::new().await;
    let id = scene.say(json!({"message": "a ticket in linear"})).await["session_id"].as_str().unwrap().to_owned();
    let stranger = user(&scene.db).await;
    let path = format!("/api/sessions/{id}");
    let unknown = format!("/api/sessions/{}", uuid::Uuid::now_v7());
    for (method, path) in [("GET", &path), ("DELETE", &path), ("GET", &unknown), ("DELETE", &unknown)] {
        assert_eq!(scene.send(stranger, method, path, Value::Null).await.0, StatusCode::NOT_FOUND);
    }
    let body = json!({"message": "yes", "session_id": id});
    assert_eq!(scene.send(stranger, "POST", "/api/chat", body).await.0, StatusCode::NOT_FOUND);
    // The owner's is still there.
    assert_eq!(scene.send(scene.owner, "GET", &path, Value::Null).await.0, StatusCode::OK);
}

#[tokio::test]
async fn of_two_turns_at_once_one_is_refused_and_one_agent_is_made() {
    let scene = Scene::new().await;
    let first = scene.say(json!({"message": "a ticket in linear"})).await;
    let body = || json!({"message": "", "session_id": first["session_id"], "credentials": {"linear": {"LINEAR_API_KEY": "k"}}});
    let (one, two) = tokio::join!(
        scene.send(scene.owner, "POST", "/api/chat", body()),
        scene.send(scene.owner, "POST", "/api/chat", body())
    );
    let mut made = 0;
    for (status, reply) in [one, two] {
        match status {
            StatusCode::OK => made += i64::from(reply["agent_created"] == true),
            status => assert_eq!(status, StatusCode::CONFLICT, "{reply}"),
        }
    }
    assert_eq!((made, scene.count("app.agent where kind = 'made'").await), (1, 1));
}

#[tokio::test]
async fn a_turn_as_events_ends_with_the_same_reply() {
    let scene = Scene::new().await;
    let accept = [("accept", "text/event-stream")];
    let (_, events) = scene.events("POST", "/api/chat", &accept, json!({"message": "the time and facts"})).await;
    let kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    assert_eq!(kinds[..5], ["RUN_STARTED", "STEP_STARTED", "STEP_FINISHED", "STEP_STARTED", "STEP_FINISHED"]);
    assert_eq!(kinds[kinds.len() - 3..], ["TEXT_MESSAGE_END", "STATE_SNAPSHOT", "RUN_FINISHED"]);
    assert_eq!(events[1]["stepName"], "plan");
    let snapshot = &events[events.len() - 2]["snapshot"];
    let told: String = events.iter().filter_map(|event| event["delta"].as_str()).collect();
    assert_eq!(snapshot["reply"], json!(told));
    assert_eq!(snapshot["agent_created"], true);
    assert_eq!(snapshot["session_id"], events[0]["threadId"]);
    // What cannot become a turn is an ordinary problem.
    let unknown = json!({"message": "x", "session_id": uuid::Uuid::now_v7()});
    let response = scene.response(scene.owner, "POST", "/api/chat", &accept, unknown).await;
    assert_eq!(response.status(), StatusCode::NOT_FOUND);
}
