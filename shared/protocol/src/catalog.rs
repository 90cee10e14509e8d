//! Catalog entries in the shape of the official MCP Registry's `server.json` (schema 2025-12-11).
//!
//! Unknown fields are ignored, absent ones have defaults: entries are written by third parties. Every text in here is
//! untrusted data.

use crate::{Timestamp, ids::ImportId};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One MCP server as its publisher describes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServerJson {
    /// Reverse-DNS name, e.g. `io.github.owner/repo`.
    pub name: String,
    pub description: String,
    pub version: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repository: Option<Repository>,
    #[serde(default, rename = "websiteUrl", skip_serializing_if = "Option::is_none")]
    pub website_url: Option<String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packages: Vec<Package>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remotes: Vec<Remote>,
    #[serde(default, rename = "_meta", skip_serializing_if = "Map::is_empty")]
    pub meta: Map<String, Value>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Repository {
    #[serde(default)]
    pub url: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subfolder: Option<String>,
}

/// A package that a toolbox can install and run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Package {
    /// `npm`, `pypi`, `oci`, `nuget` or `mcpb`.
    pub registry_type: String,
    pub identifier: String,
    /// Absent means unknown; it is resolved once and pinned at deployment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runtime_hint: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<Transport>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub environment_variables: Vec<Input>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub package_arguments: Vec<Argument>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub runtime_arguments: Vec<Argument>,
}

impl Package {
    /// The registry of servers that their publishers run, whose identifiers are URLs.
    pub const REMOTE: &str = "remote";
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transport {
    /// `stdio`, `streamable-http` or `sse`.
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
}

/// A server that its publisher runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Remote {
    /// `streamable-http` or `sse`.
    #[serde(rename = "type")]
    pub kind: String,
    pub url: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<Input>,
}

/// A named input: an environment variable or a header.
///
/// `value` may hold `{NAME}` references, each described in `variables`; the same name means the same input.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    #[serde(default)]
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(default)]
    pub is_required: bool,
    #[serde(default)]
    pub is_secret: bool,
    /// What kind of text it is, e.g. `filepath`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub format: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub placeholder: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub variables: Map<String, Value>,
}

/// A command-line argument of a package or of what runs it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Argument {
    /// `positional` or `named`.
    #[serde(rename = "type", default)]
    pub kind: String,
    #[serde(flatten)]
    pub input: Input,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value_hint: Option<String>,
    #[serde(default)]
    pub is_repeated: bool,
}

/// `GET /api/catalog/search`: the whole selection as the chat makes it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SearchReply {
    /// Best first; the needs' results interleaved, each server once.
    pub servers: Vec<Found>,
    /// What the request was split into.
    pub needs: Vec<String>,
    /// True when the request asks for nothing that a server in the catalog does.
    pub no_match: bool,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Found {
    pub name: String,
    pub title: String,
    pub description: String,
    /// How well it fits its need, before calibration; comparable within one need only.
    pub score: f32,
    /// The chance that it does what the need asks, 0 to 1.
    pub confidence: f32,
    /// In words, for a person.
    pub why: String,
    /// Which of `needs` it was found for.
    pub need: String,
}

/// `POST /api/catalog/import`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ImportRequest {
    /// Base address of a registry that speaks the official API, without `/v0.1`. The official one when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Reads everything again instead of what changed since the last complete import.
    #[serde(default)]
    pub full: bool,
}

/// An import: how far it is, what came of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Import {
    pub id: ImportId,
    pub url: String,
    pub state: ImportState,
    /// Only what changed after this moment is read; absent: everything.
    #[serde(default)]
    pub since: Option<Timestamp>,
    /// Where the registry goes on; absent at the start and after the last page.
    #[serde(default)]
    pub cursor: Option<String>,
    pub pages: u32,
    /// Entries that are new or changed.
    pub imported: u32,
    pub unchanged: u32,
    pub removed: u32,
    pub skipped: u32,
    /// The first of those that were skipped, and why.
    #[serde(default)]
    pub report: Vec<SkippedEntry>,
    /// Why it failed, in words.
    #[serde(default)]
    pub detail: Option<String>,
    /// Entries in the catalog.
    pub servers: u64,
    /// Entries that are found by meaning too.
    pub embedded: u64,
    pub started_at: Timestamp,
    pub updated_at: Timestamp,
    #[serde(default)]
    pub finished_at: Option<Timestamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImportState {
    Running,
    Complete,
    /// It goes on from its cursor when it is started again.
    Failed,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SkippedEntry {
    pub name: String,
    pub reason: String,
}
