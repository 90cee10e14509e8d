//! Both wire formats against a stand-in: streaming, tool calls with their results, refusals, cut connections.

#[path = "support/aimock.rs"]
mod aimock;

use aimock::Aimock;
use models::language::{Call, Config, Error, Language, Message, Remote, Request, ToolDefinition, Wire};
use serde_json::json;
use std::time::Duration;

fn model(url: &str, wire: Wire) -> Remote {
    Remote::new(Config::new(url, "test-key".to_owned(), "test-model".to_owned(), wire).expect("a good address"))
}

fn request(messages: Vec<Message>) -> Request {
    Request {
        system: "You are a test.".to_owned(),
        messages,
        tools: vec![ToolDefinition {
            name: "time__get_current_time".to_owned(),
            description: "The time".to_owned(),
            schema: json!({"type": "object", "properties": {"timezone": {"type": "string"}}}),
        }],
        max_tokens: 500,
        timeout: Duration::from_secs(10),
    }
}

fn fixtures() -> serde_json::Value {
    json!([
        {"match": {"userMessage": "hello"}, "response": {"content": "Hello, and welcome to this quite long answer."}},
        {"match": {"userMessage": "what time", "hasToolResult": false},
         "response": {"toolCalls": [
            {"id": "call_1", "name": "time__get_current_time", "arguments": {"timezone": "Asia/Tokyo"}},
            {"id": "call_2", "name": "time__get_current_time", "arguments": {"timezone": "Europe/Berlin"}}]}},
        {"match": {"userMessage": "what time", "hasToolResult": true}, "response": {"content": "It is noon in Tokyo."}},
        {"match": {"userMessage": "limit"}, "response": {"error": {"message": "slow down", "type": "rate_limit_error"}, "status": 429}},
    ])
}

#[tokio::test]
async fn an_answer_streams_in_both_wire_formats() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let mut pieces = Vec::new();
        let reply = model(&mock.url, wire)
            .respond(&request(vec![Message::User("hello".into())]), &mut |piece| pieces.push(piece.to_owned()))
            .await
            .unwrap();
        assert_eq!(reply.text, "Hello, and welcome to this quite long answer.", "{wire:?}");
        assert!(pieces.len() > 3, "{wire:?} came in {} pieces", pieces.len());
        assert_eq!(pieces.concat(), reply.text);
        assert!(reply.calls.is_empty());
    }
}

#[tokio::test]
async fn tool_calls_and_their_results_go_round_in_both_wire_formats() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let model = model(&mock.url, wire);
        let question = Message::User("what time is it?".into());
        let reply = model.respond(&request(vec![question.clone()]), &mut |_| {}).await.unwrap();
        let zones: Vec<_> = reply.calls.iter().map(|call| call.arguments["timezone"].as_str().unwrap()).collect();
        assert_eq!(zones, ["Asia/Tokyo", "Europe/Berlin"], "{wire:?}");
        assert_ne!(reply.calls[0].id, reply.calls[1].id);
        let mut messages = vec![question, Message::Assistant { text: reply.text, calls: reply.calls.clone() }];
        messages.extend(reply.calls.iter().map(|Call { id, name, .. }| Message::Result {
            call_id: id.clone(),
            name: name.clone(),
            content: "12:00".into(),
        }));
        let reply = model.respond(&request(messages), &mut |_| {}).await.unwrap();
        assert_eq!(reply.text, "It is noon in Tokyo.", "{wire:?}");
    }
}

/// The stand-in serves both formats; this one knows Anthropic's only.
#[tokio::test]
async fn a_guessed_wire_format_gives_way_to_the_right_one() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    let upstream = mock.url.clone();
    let app = axum::Router::new().route(
        "/v1/messages",
        axum::routing::post(move |headers: axum::http::HeaderMap, body: String| async move {
            assert!(headers.contains_key("x-api-key"));
            let request = reqwest::Client::new()
                .post(format!("{upstream}/v1/messages"))
                .header("content-type", "application/json");
            let reply = request.header("x-api-key", "k").body(body).send().await.unwrap();
            ([("content-type", "text/event-stream")], reply.text().await.unwrap())
        }),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await });
    let config = Config::from_env(|name| match name {
        "AGENTOPIA_MODEL_URL" => Some(url.clone()),
        "AGENTOPIA_MODEL" | "AGENTOPIA_MODEL_KEY" => Some("m".to_owned()),
        _ => None,
    });
    let model = Remote::new(config.unwrap().unwrap());
    for _ in 0..2 {
        let reply = model.respond(&request(vec![Message::User("hello".into())]), &mut |_| {}).await.unwrap();
        assert!(reply.text.starts_with("Hello"));
    }
}

#[tokio::test]
async fn refusals_keep_their_status_and_say_nothing_else() {
    let Some(mock) = Aimock::start(fixtures(), &[]).await else { return };
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let error = model(&mock.url, wire)
            .respond(&request(vec![Message::User("limit".into())]), &mut |_| {})
            .await
            .unwrap_err();
        assert!(matches!(error, Error::Refused(429)), "{wire:?}: {error}");
        assert!(!error.to_string().contains("slow down"));
    }
}

#[tokio::test]
async fn a_cut_connection_and_a_silent_endpoint_are_errors() {
    let Some(mock) = Aimock::start(fixtures(), &["--chaos-disconnect", "1"]).await else { return };
    let hello = request(vec![Message::User("hello".into())]);
    for wire in [Wire::OpenAi, Wire::Anthropic] {
        let error = model(&mock.url, wire).respond(&hello, &mut |_| {}).await.unwrap_err();
        assert!(matches!(error, Error::Unreachable | Error::Malformed), "{wire:?}: {error}");
    }

    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let hasty = Request { timeout: Duration::from_millis(200), ..hello.clone() };
    let error = model(&url, Wire::OpenAi).respond(&hasty, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::TimedOut), "{error}");
    drop(silent);
    let error = model(&url, Wire::OpenAi).respond(&hello, &mut |_| {}).await.unwrap_err();
    assert!(matches!(error, Error::Unreachable), "{error}");
}
