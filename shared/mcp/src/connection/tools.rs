//! The tools that a server offers.

use super::Connection;
use crate::{Error, code, json};
use protocol::server::Tool;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use std::collections::HashMap;

/// Pages, tools and bytes that a listing may have.
const PAGES: usize = 100;
const TOOLS: usize = 2_000;
const BYTES: usize = 8 << 20;
/// Names of our own tools, which no server may take.
pub const RESERVED: [&str; 3] = ["need_more_tools", "find_tool", "call_tool"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    tools: Vec<Box<RawValue>>,
    #[serde(default)]
    next_cursor: Option<String>,
}

impl Connection {
    /// Every tool that can be offered, in the server's order, with the digest of its definition. A definition that is
    /// ambiguous, has a reserved name, or shares its name with another is left out: refused, not resolved.
    pub async fn tools(&self) -> Result<Vec<Tool>, Error> {
        let mut definitions = Vec::new();
        let (mut cursor, mut bytes) = (None::<String>, 0);
        for _ in 0..PAGES {
            let params =
                cursor.as_ref().map_or_else(|| serde_json::json!({}), |cursor| serde_json::json!({"cursor": cursor}));
            let result = match self.request("tools/list", &params).await {
                Err(Error::Rpc { code: code::METHOD_NOT_FOUND, .. }) if definitions.is_empty() => return Ok(Vec::new()),
                other => other?,
            };
            bytes += result.get().len();
            let page: Page = serde_json::from_str(result.get())?;
            definitions.extend(page.tools);
            if bytes > BYTES || definitions.len() > TOOLS {
                return Err(Error::NotMcp("it lists more tools than anybody can use".into()));
            }
            match page.next_cursor {
                None => return Ok(select(definitions)),
                // The same page for ever.
                again if again == cursor => break,
                next => cursor = next,
            }
        }
        Err(Error::NotMcp("its list of tools does not end".into()))
    }
}

fn select(definitions: Vec<Box<RawValue>>) -> Vec<Tool> {
    let tools: Vec<Tool> = definitions.iter().filter_map(|definition| tool(definition)).collect();
    let mut names = HashMap::new();
    for tool in &tools {
        *names.entry(tool.name.clone()).or_insert(0) += 1;
    }
    tools.into_iter().filter(|tool| names[&tool.name] == 1).collect()
}

fn tool(definition: &RawValue) -> Option<Tool> {
    // Refused when two readers of it could see two things: then a digest would mean nothing.
    let digest = json::digest(definition.get()).ok()?;
    let definition: Value = serde_json::from_str(definition.get()).ok()?;
    let name = definition.get("name")?.as_str()?.to_owned();
    let plain = !name.is_empty() && name.len() <= 128 && name.bytes().all(|b| b.is_ascii_graphic());
    if !plain || RESERVED.contains(&name.as_str()) || !definition.get("inputSchema")?.is_object() {
        tracing::warn!(?name, "a server's tool is left out: its name or schema is not acceptable");
        return None;
    }
    Some(Tool { name, digest, definition })
}
