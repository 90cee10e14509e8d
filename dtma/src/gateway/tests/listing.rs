//! Lists show exactly what may be called.

use super::*;

fn names(reply: &Reply) -> Vec<String> {
    let reply = reply.json();
    let tools = reply["result"]["tools"].as_array().unwrap();
    tools.iter().map(|tool| tool["name"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn what_may_be_called_is_listed_in_one_order() {
    let stage = Stage::new().await;
    let token = stage.full();
    let list = stage.ask("/mcp", &token, "tools/list", json!({})).await;
    let expected = ["alpha__echo", "alpha__fail", "alpha__leak", "alpha__slow", "beta__echo", "need_more_tools"];
    assert_eq!(names(&list), expected);
    assert_eq!(stage.ask("/mcp", &token, "tools/list", json!({})).await.text, list.text);
    let result = &list.json()["result"];
    assert_eq!((&result["cacheScope"], &result["resultType"]), (&json!("private"), &json!("complete")));
    assert!(result["ttlMs"].is_u64());

    let some = stage.token(&["alpha.slow", "beta.echo", "gamma.x"]);
    let list = stage.ask("/mcp", &some, "tools/list", json!({})).await;
    assert_eq!(names(&list), ["alpha__slow", "beta__echo", "need_more_tools"]);
    let one = stage.ask("/mcp/alpha", &some, "tools/list", json!({})).await;
    assert_eq!(names(&one), ["slow", "need_more_tools"]);
}

#[tokio::test]
async fn a_definition_keeps_everything_but_its_name() {
    let stage = Stage::new().await;
    let list = stage.ask("/mcp", &stage.token(&["alpha.echo"]), "tools/list", json!({})).await.json();
    let mut expected = definition("echo");
    expected["name"] = "alpha__echo".into();
    assert_eq!(list["result"]["tools"][0], expected);
}

#[tokio::test]
async fn above_forty_tools_a_search_stands_in_their_place() {
    let stage = Stage::new().await;
    let many: Vec<String> = (0..40).map(|i| format!("thing_{i}")).collect();
    stage.server("crowd", &many.iter().map(|name| &**name).collect::<Vec<_>>()).await;
    let grants = |count: usize| {
        let crowd = many.iter().take(count).map(|tool| stage.grant("crowd", tool));
        crowd.chain([stage.grant("alpha", "echo")]).collect::<Vec<_>>()
    };
    let few = stage.token_of(grants(39));
    assert_eq!(names(&stage.ask("/mcp", &few, "tools/list", json!({})).await).len(), 41);
    let token = stage.token_of(grants(40));
    let list = stage.ask("/mcp", &token, "tools/list", json!({})).await;
    assert_eq!(names(&list), ["find_tool", "call_tool", "need_more_tools"]);

    let found = stage.call(&token, "find_tool", json!({"query": "thing_7 please"})).await.json();
    assert_eq!(found["result"]["structuredContent"]["tools"][0]["name"], "crowd__thing_7");
    let found = stage.call(&token, "find_tool", json!({"query": "beta leak", "limit": 20})).await;
    assert!(!found.text.contains("beta__") && !found.text.contains("leak"), "{}", found.text);

    let call = |name: &str| json!({"name": name, "arguments": {"text": "x"}});
    let reply = stage.call(&token, "call_tool", call("crowd__thing_7")).await;
    assert_eq!(text_of(&reply), "crowd:x");
    let asked = stage.calls();
    for wrong in [
        call("beta__echo"),
        call("alpha__leak"),
        call("call_tool"),
        call("find_tool"),
        json!({}),
        json!({"name": "crowd__thing_7", "arguments": [1]}),
        json!({"name": "crowd__thing_7", "arguments": {}, "_meta": {}}),
    ] {
        assert_eq!(stage.call(&token, "call_tool", wrong).await.error_code(), Some(-32602));
    }
    assert_eq!(stage.calls(), asked);
    // A tool by its name works as well.
    assert_eq!(text_of(&stage.call(&token, "crowd__thing_7", json!({"text": "y"})).await), "crowd:y");
}

#[tokio::test]
async fn a_refreshed_list_is_offered_at_once() {
    let stage = Stage::new().await;
    assert!(stage.registry.refresh("alpha").await.unwrap().is_none());
    assert!(stage.registry.refresh("nobody").await.unwrap().is_none());
    let mut changes = stage.registry.changes();
    let alpha = stage.registry.get("alpha").unwrap();
    let tools: Vec<_> = alpha.connection.tools().await.unwrap().into_iter().take(1).collect();
    let (id, connection) = (alpha.id, alpha.connection.clone());
    stage.registry.insert("alpha", ServerEntry { id, connection, tools, secrets: Arc::default() });
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    assert!(stage.registry.refresh("alpha").await.unwrap().is_some());
    assert!(changes.has_changed().unwrap());
    assert_eq!(stage.registry.redefined(), 0);
}

#[tokio::test]
async fn a_tool_that_comes_to_say_something_else_is_called_no_longer_and_counted() {
    let stage = Stage::new().await;
    let token = stage.full();
    let call = || stage.call(&token, "alpha__echo", json!({"text": "x"}));
    assert_eq!(text_of(&call().await), "alpha:x");
    let alpha = stage.registry.get("alpha").unwrap();
    let mut tools = alpha.connection.tools().await.unwrap();
    let changed = tools.iter_mut().find(|tool| tool.name == "echo").unwrap();
    changed.definition["description"] = "now it also sends mail".into();
    changed.digest = mcp::json::digest(&changed.definition.to_string()).unwrap();
    let (id, connection) = (alpha.id, alpha.connection.clone());
    stage.registry.insert("alpha", ServerEntry { id, connection, tools, secrets: Arc::default() });
    assert_eq!(call().await.error_code(), Some(-32602));
    assert_eq!(stage.registry.redefined(), 1);
    let told: Vec<_> = stage.registry.take_redefined().into_iter().map(|one| (one.server, one.tool)).collect();
    assert_eq!(told, [(id, "echo".to_owned())]);
    assert!(stage.registry.take_redefined().is_empty(), "it is told once");
    assert!(!stage.ask("/mcp", &token, "tools/list", json!({})).await.text.contains("alpha__echo"));
}
