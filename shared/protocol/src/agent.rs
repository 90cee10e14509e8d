//! `/api/agents`.

use crate::{Timestamp, ids::*, plan::Plan};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// `POST /api/agents/create`: an agent from a ready configuration, in the shape that MCP clients keep.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCreate {
    pub mcp_server_info: McpServerInfo,
    pub mcp_config: McpConfig,
    pub user_prompt: String,
    #[serde(default)]
    pub workflow: Value,
    /// Where its servers shall run; whoever has one toolbox need not say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub toolbox_id: Option<ToolboxId>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct McpServerInfo {
    #[serde(default)]
    pub servers: Vec<ServerInfo>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerInfo {
    pub name: String,
    #[serde(default)]
    pub description: String,
    #[serde(default)]
    pub tools: Vec<Value>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct McpConfig {
    #[serde(default, rename = "mcpServers")]
    pub mcp_servers: BTreeMap<String, McpServerConfig>,
}

/// `npx PACKAGE ARGS…`, `uvx PACKAGE ARGS…` or `docker run … IMAGE ARGS…`; or the URL of a server that somebody else runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct McpServerConfig {
    #[serde(default)]
    pub command: String,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub url: Option<String>,
    /// With every request to the URL.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AgentCreated {
    /// `ok`.
    pub status: String,
    pub agent_id: AgentId,
    pub message: String,
}

/// `PATCH /api/agents/{id}`: what is absent stays.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentUpdate {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Agent {
    pub id: AgentId,
    pub name: String,
    /// `personal`: the user's own, made with the account; `made`: from a request.
    pub kind: String,
    /// What it was made for.
    pub request: String,
    #[serde(default)]
    pub plan: Option<Plan>,
    /// As its maker gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workflow: Option<Value>,
    pub toolbox_id: Option<ToolboxId>,
    /// Short names of its servers.
    pub servers: Vec<String>,
    pub created_at: Timestamp,
}
