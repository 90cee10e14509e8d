//! With a language model: plans that it proposes, and runs of agents through a gateway.

use crate::{
    aimock::Aimock,
    scene::{Scene, asked, shelf},
};
use axum::{Json, Router, extract::State, http::HeaderMap, routing::post};
use capability::Verifier;
use database::Caller;
use http::StatusCode;
use models::language::{Config, Language, Remote, Wire};
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};

fn model(url: &str, wire: Wire) -> Arc<dyn Language> {
    Arc::new(Remote::new(Config::new(url, "k".to_owned(), "m".to_owned(), wire).expect("a good address")))
}

fn fixtures() -> Value {
    let call = json!({"toolCalls": [{"id": "call_1", "name": "time__now", "arguments": {"zone": "Asia/Tokyo"}}]});
    json!([
        // Choosing comes first: its message holds the request too.
        {"match": {"userMessage": "\"candidates\""},
         "response": {"content": "```json\n{\"choices\": [{\"need\": 0, \"server\": \"io.y/linear-other\"}, {\"need\": 0, \"server\": \"made/up\"}]}\n```"}},
        {"match": {"userMessage": "tickets somewhere"}, "response": {"content": "{\"needs\": [\"linear tickets\"]}"}},
        {"match": {"userMessage": "good day"}, "response": {"content": "{\"needs\": []}"}},
        {"match": {"userMessage": "the time, says the mad model"}, "response": {"content": "I would rather not."}},
        {"match": {"userMessage": "in Tokyo", "hasToolResult": false}, "response": call},
        {"match": {"userMessage": "in Tokyo", "hasToolResult": true}, "response": {"content": "It is noon in Tokyo."}},
    ])
}

#[tokio::test]
async fn a_model_proposes_and_the_rules_check() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let scene = Scene::with(Arc::new(shelf()), Some(model(&mock.url, wire))).await;
        let reply = scene.say(json!({"message": "keep my tickets somewhere"})).await;
        assert_eq!(asked(&reply), ["linear-other.OTHER_KEY"], "{wire:?}: {reply}");
        let talk = scene.say(json!({"message": "good day"})).await;
        assert!(talk["plan"].is_null());
        // An answer that is not what was asked for leaves the plan to the rules.
        let mad = scene.say(json!({"message": "the time, says the mad model"})).await;
        assert_eq!(mad["plan"]["capabilities"][0]["chosen"]["server"], "time");
    }
}

#[tokio::test]
async fn a_model_that_is_away_leaves_the_plan_to_the_rules() {
    let scene = Scene::with(Arc::new(shelf()), Some(model("http://127.0.0.1:9", Wire::OpenAi))).await;
    assert_eq!(scene.say(json!({"message": "the time"})).await["agent_created"], true);
}

/// A gateway that checks the capability and has one tool.
#[derive(Clone)]
struct Gateway {
    verifier: Arc<Verifier>,
    calls: Arc<Mutex<Vec<Value>>>,
}

async fn gateway(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    Json(request): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let token = headers["authorization"].to_str().unwrap().strip_prefix("Bearer ").unwrap().to_owned();
    let now = protocol::Timestamp::now().as_second();
    if gateway.verifier.verify(&token, now).is_err() {
        return (StatusCode::UNAUTHORIZED, Json(json!({})));
    }
    let result = match request["method"].as_str().unwrap() {
        "tools/list" => {
            json!({"tools": [{"name": "time__now", "description": "now", "inputSchema": {"type": "object"}}]})
        }
        _ => {
            gateway.calls.lock().unwrap().push(request["params"].clone());
            json!({"content": [{"type": "text", "text": "12:00"}], "resultType": "complete"})
        }
    };
    (StatusCode::OK, Json(json!({"jsonrpc": "2.0", "id": request["id"], "result": result})))
}

/// A scene whose toolbox has a gateway, and its agent.
async fn running(mock: &Aimock, wire: Wire) -> (Scene, Gateway, Value) {
    let scene = Scene::with(Arc::new(shelf()), Some(model(&mock.url, wire))).await;
    let keys = [(scene.key.kid().to_owned(), scene.key.key().public_key().to_string())].into();
    let verifier = Verifier::new(&keys, scene.toolbox, scene.owner).unwrap();
    let served = Gateway { verifier: Arc::new(verifier), calls: Arc::default() };
    let app = Router::new().route("/mcp", post(gateway)).with_state(served.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    scene.db.run(&format!("update app.toolbox set gateway = 'http://{address}', public_key = 'x'")).await;
    let agent = scene.db.database.agent_list(&Caller::user(scene.owner)).await.unwrap().remove(0).id;
    (scene, served, json!(agent))
}

#[tokio::test]
async fn an_agent_answers_through_its_tools() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let (scene, gateway, agent) = running(&mock, wire).await;
        let reply = scene.say(json!({"message": "what time is it in Tokyo?", "agent_id": agent})).await;
        assert_eq!(
            (&reply["reply"], &reply["status"]),
            (&json!("It is noon in Tokyo."), &json!("success")),
            "{wire:?}"
        );
        let call = gateway.calls.lock().unwrap()[0].clone();
        assert_eq!((&call["name"], &call["arguments"]), (&json!("time__now"), &json!({"zone": "Asia/Tokyo"})));

        let body = json!({"message": "and in Tokyo?", "agent_id": agent, "session_id": reply["session_id"]});
        let (_, events) = scene.events("POST", "/api/chat", &[("accept", "text/event-stream")], body).await;
        let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
        kinds.dedup();
        assert_eq!(
            kinds,
            [
                "RUN_STARTED",
                "TOOL_CALL_START",
                "TOOL_CALL_ARGS",
                "TOOL_CALL_END",
                "TOOL_CALL_RESULT",
                "TEXT_MESSAGE_START",
                "TEXT_MESSAGE_CONTENT",
                "TEXT_MESSAGE_END",
                "STATE_SNAPSHOT",
                "RUN_FINISHED"
            ]
        );
        assert_eq!(scene.count("app.run where state = 'finished'").await, 2);
        // Both can be looked at later, and belong to the conversation.
        for run in [&reply["run_id"], &events[0]["runId"]] {
            let (status, run) =
                scene.send(scene.owner, "GET", &format!("/api/runs/{}", run.as_str().unwrap()), Value::Null).await;
            assert_eq!((status, &run["session_id"]), (StatusCode::OK, &reply["session_id"]));
        }
        let session = reply["session_id"].as_str().unwrap();
        assert_eq!(scene.count(&format!("app.session_message where session_id = '{session}'")).await, 4);
    }
}

#[tokio::test]
async fn of_two_messages_to_an_agent_at_once_one_is_refused_before_it_calls_a_tool() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    let (scene, gateway, agent) = running(&mock, Wire::OpenAi).await;
    let first = scene.say(json!({"message": "what time is it in Tokyo?", "agent_id": agent})).await;
    let body = || json!({"message": "and in Tokyo?", "agent_id": agent, "session_id": first["session_id"]});
    // One whose answer is still awaited.
    let waits = "insert into app.run (id, owner, agent_id, session_id, message)
        select '019aa1b0-0000-7000-8000-00000000abcd', owner, agent_id, session_id, message from app.run";
    scene.db.run(waits).await;
    let calls = gateway.calls.lock().unwrap().len();
    let (status, refused) = scene.send(scene.owner, "POST", "/api/chat", body()).await;
    assert_eq!(status, StatusCode::CONFLICT, "{refused}");
    assert!(refused["fix"].as_str().unwrap().contains("019aa1b0-0000-7000-8000-00000000abcd"), "{refused}");
    assert_eq!(gateway.calls.lock().unwrap().len(), calls);
    // The fix helps.
    let cancel = "/api/runs/019aa1b0-0000-7000-8000-00000000abcd/cancel";
    assert_eq!(scene.send(scene.owner, "POST", cancel, Value::Null).await.0, StatusCode::OK);
    assert_eq!(scene.send(scene.owner, "POST", "/api/chat", body()).await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_run_of_its_own_has_a_journal_to_follow() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    let (scene, _, agent) = running(&mock, Wire::OpenAi).await;
    let path = format!("/api/agents/{}/runs", agent.as_str().unwrap());
    let (status, run) = scene.send(scene.owner, "POST", &path, json!({"message": "what time is it in Tokyo?"})).await;
    assert_eq!((status, &run["state"]), (StatusCode::ACCEPTED, &json!("running")), "{run}");
    let id = run["id"].as_str().unwrap();
    let (_, events) = scene.events("GET", &format!("/api/runs/{id}/events"), &[], Value::Null).await;
    let mut kinds: Vec<&str> = events.iter().map(|event| event["type"].as_str().unwrap()).collect();
    // Pieces that came far from each other are written down by themselves.
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "run.started",
            "model.answered",
            "tool.called",
            "tool.returned",
            "model.delta",
            "model.answered",
            "run.finished"
        ]
    );
    let numbers: Vec<_> = events.iter().map(|event| event["sequence"].as_i64().unwrap()).collect();
    let last = i64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, Vec::from_iter(1..=last));
    let seen = (last - 2).to_string();
    let (text, rest) =
        scene.events("GET", &format!("/api/runs/{id}/events"), &[("last-event-id", &seen)], Value::Null).await;
    assert_eq!(rest.len(), 2);
    assert!(text.contains(&format!("id: {last}")) && text.contains("event: run.finished"));
    let (_, read) = scene.send(scene.owner, "GET", &format!("/api/runs/{id}"), Value::Null).await;
    assert_eq!((&read["state"], &read["events"][2]["tool"]), (&json!("finished"), &json!("time__now")));
    // Without the pieces that streamed.
    assert_eq!(read["events"].as_array().unwrap().len(), 6);

    let stranger = testkit::user(&scene.db).await;
    for (method, path) in [
        ("GET", format!("/api/runs/{id}")),
        ("GET", format!("/api/runs/{id}/events")),
        ("POST", format!("/api/runs/{id}/cancel")),
    ] {
        assert_eq!(scene.send(stranger, method, &path, Value::Null).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    assert_eq!(scene.send(stranger, "POST", &path, json!({"message": "x"})).await.0, StatusCode::NOT_FOUND);
    // The journal is only ever added to: a worker without the lease adds nothing either.
    let late = scene.db.database.run_append(&Caller::user(scene.owner), id.parse().unwrap(), 1, &[], None).await;
    assert!(matches!(late, Err(database::Error::Conflict { .. })));
}

#[tokio::test]
async fn without_a_model_an_agent_says_what_to_set() {
    let scene = Scene::new().await;
    let agent = scene.db.database.agent_list(&Caller::user(scene.owner)).await.unwrap().remove(0).id;
    let (status, problem) =
        scene.send(scene.owner, "POST", "/api/chat", json!({"message": "hi", "agent_id": agent})).await;
    assert_eq!(status, StatusCode::CONFLICT);
    let fix = problem["fix"].as_str().unwrap();
    for variable in ["AGENTOPIA_MODEL_URL", "AGENTOPIA_MODEL_KEY", "ANTHROPIC_API_KEY", "OPENAI_API_KEY"] {
        assert!(fix.contains(variable), "{fix}");
    }
}
