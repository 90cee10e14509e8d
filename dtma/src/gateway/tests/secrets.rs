//! A secret that a server was given does not come back.

use super::*;

#[tokio::test]
async fn known_secrets_are_removed_from_results_in_every_spelling() {
    let stage = Stage::new().await;
    let reply = stage.call(&stage.full(), "alpha__leak", json!({})).await;
    assert_eq!(text_of(&reply), "[redacted]");
    assert_eq!(reply.json()["result"]["content"][1]["text"], r#"{"inner":"[redacted]"}"#);
    for part in ["s3cret", "with quote", "värde"] {
        assert!(!reply.text.contains(part), "{}", reply.text);
    }
    // Nothing else is touched.
    let reply = stage.call(&stage.full(), "alpha__echo", json!({"text": "harmless"})).await;
    assert_eq!(text_of(&reply), "alpha:harmless");
}

#[tokio::test]
async fn one_servers_secret_does_not_leave_by_another() {
    let stage = Stage::new().await;
    let alpha = stage.registry.get("alpha").unwrap();
    let tools = alpha.connection.tools().await.unwrap();
    let entry = ServerEntry { id: alpha.id, connection: alpha.connection.clone(), tools, secrets: Arc::default() };
    stage.registry.insert("alpha", entry);
    let reply = stage.call(&stage.full(), "alpha__leak", json!({})).await;
    assert_eq!(text_of(&reply), "[redacted]");
    stage.registry.remove("beta");
    let reply = stage.call(&stage.full(), "alpha__leak", json!({})).await;
    assert_eq!(text_of(&reply), SECRET);
}

#[tokio::test]
async fn an_answer_that_cleaning_would_break_is_withheld() {
    let stage = Stage::new().await;
    let connection = stage.registry.get("beta").unwrap().connection.clone();
    let tools = connection.tools().await.unwrap();
    // A key of the answer itself.
    let secrets = Arc::new(vec![Secret::new("jsonrpc".into())]);
    stage.registry.insert("beta", ServerEntry { id: ServerId::new(), connection, tools, secrets });
    let reply = stage.call(&stage.full(), "beta__echo", json!({})).await;
    assert_eq!(reply.error_code(), Some(-32603));
}

#[tokio::test]
async fn a_definition_that_tells_a_secret_is_cleaned_in_the_list() {
    let stage = Stage::new().await;
    let mut telling = definition("query");
    telling["description"] = format!("connects with {SECRET}").into();
    let connection = serve_here("sql".into(), vec![telling], stage.seen.clone()).await;
    let tools = connection.tools().await.unwrap();
    stage.registry.insert("sql", ServerEntry { id: ServerId::new(), connection, tools, secrets: Arc::default() });
    let token = stage.token(&["sql.query"]);
    let list = stage.ask("/mcp", &token, "tools/list", json!({})).await;
    assert_eq!(list.json()["result"]["tools"][0]["description"], "connects with [redacted]");
    assert_eq!(text_of(&stage.call(&token, "sql__query", json!({"text": "x"})).await), "sql:x");
}

#[tokio::test]
async fn lines_of_logs_are_scrubbed_too() {
    let stage = Stage::new().await;
    assert_eq!(stage.registry.scrub(&format!("token={SECRET}!")), "token=[redacted]!");
    let base64 = {
        use base64::Engine;
        base64::prelude::BASE64_STANDARD.encode(SECRET)
    };
    assert_eq!(stage.registry.scrub(&format!("Basic {base64}")), "Basic [redacted]");
    assert_eq!(stage.registry.scrub("nothing here"), "nothing here");
}

#[tokio::test]
async fn an_answer_with_anothers_secret_or_hidden_characters_is_flagged_and_its_own_is_not() {
    let stage = Stage::new().await;
    let token = stage.full();
    let counted = async |flag: &str| {
        let request = axum::http::Request::get("/metrics").header("host", "127.0.0.1");
        let text = stage.send(request.body(Body::empty()).unwrap()).await.text;
        let line = format!("agentopia_answers_flagged_total{{flag=\"{flag}\"}} ");
        text.lines().find_map(|found| found.strip_prefix(&*line)?.parse::<u64>().ok()).unwrap()
    };
    // Both servers were given it.
    stage.call(&token, "alpha__leak", json!({})).await;
    stage.call(&token, "alpha__echo", json!({"text": "plain"})).await;
    assert_eq!((counted("foreign_secret").await, counted("invisible").await), (0, 0));
    let alpha = stage.registry.get("alpha").unwrap();
    let (id, connection, tools) = (alpha.id, alpha.connection.clone(), alpha.connection.tools().await.unwrap());
    stage.registry.insert("alpha", ServerEntry { id, connection, tools, secrets: Arc::default() });
    assert_eq!(text_of(&stage.call(&token, "alpha__leak", json!({})).await), "[redacted]");
    assert_eq!((counted("foreign_secret").await, counted("invisible").await), (1, 0));
    let hidden = "all is well\u{e0069}\u{e0067}\u{e006e}";
    let reply = stage.call(&token, "alpha__echo", json!({"text": hidden})).await;
    assert_eq!(text_of(&reply), format!("alpha:{hidden}"));
    assert_eq!(reply.json()["result"]["_meta"]["io.agentopia/flags"], json!(["invisible"]));
    assert_eq!((counted("foreign_secret").await, counted("invisible").await), (1, 1));
    let signs: Vec<_> = stage.records.take(100).0.iter().map(|access| access.flags.names()).collect();
    assert_eq!(signs, [vec![], vec![], vec!["foreign_secret"], vec!["invisible"]]);
}
