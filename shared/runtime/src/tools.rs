//! What a run can call.

use async_trait::async_trait;
use mcp::client::{CallResult, Client};
use serde_json::{Value, json};

/// A failure to list or to call, in words for the model and the journal.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ToolsError(pub String);

/// What a tool gave back. Untrusted data.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub text: String,
    /// The tool itself says that it failed.
    pub failed: bool,
}

#[async_trait]
pub trait Tools: Send + Sync {
    /// Definitions as MCP has them: `name`, `description`, `inputSchema`. Untrusted data.
    async fn list(&self) -> Result<Vec<Value>, ToolsError>;

    /// `key` names this call of this run: a tool that can, does the same key's work once.
    async fn call(&self, name: &str, arguments: &Value, key: &str) -> Result<Output, ToolsError>;
}

/// The tools behind a toolbox's gateway, with a capability.
pub struct Gateway(Client);

impl Gateway {
    pub fn new(client: Client) -> Self {
        Self(client)
    }
}

#[async_trait]
impl Tools for Gateway {
    async fn list(&self) -> Result<Vec<Value>, ToolsError> {
        self.0.tools().await.map_err(|error| ToolsError(error.to_string()))
    }

    async fn call(&self, name: &str, arguments: &Value, key: &str) -> Result<Output, ToolsError> {
        let params = json!({
            "name": name,
            "arguments": arguments,
            "_meta": {"io.agentopia/idempotency-key": key},
        });
        let result = self.0.request("tools/call", params).await.map_err(|error| ToolsError(error.to_string()))?;
        let result: CallResult = serde_json::from_str(result.get()).map_err(|error| ToolsError(error.to_string()))?;
        Ok(Output { failed: result.is_error, text: text(&result) })
    }
}

/// The text of a result; where it has none, its structure; pictures and other bytes are named only.
fn text(result: &CallResult) -> String {
    let mut parts = Vec::new();
    for part in &result.content {
        match (part.get("type").and_then(Value::as_str), part.get("text").and_then(Value::as_str)) {
            (_, Some(text)) => parts.push(text.to_owned()),
            (Some("resource"), None) => {
                let text = part.pointer("/resource/text").and_then(Value::as_str).unwrap_or("[a resource]");
                parts.push(text.to_owned());
            }
            (kind, None) => parts.push(format!("[{}]", kind.unwrap_or("content"))),
        }
    }
    match (&result.structured_content, parts.is_empty()) {
        (Some(structure), true) => structure.to_string(),
        _ => parts.join("\n"),
    }
}
