//! What the planner decided for a request.

use crate::catalog::Package;
use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// The request that the plan answers.
    pub request: String,
    pub capabilities: Vec<Capability>,
}

/// One thing that the request needs, and who does it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Capability {
    /// In the words of the request.
    pub need: String,
    /// Absent when nothing in the catalog fits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chosen: Option<Choice>,
    #[serde(default)]
    pub alternatives: Vec<Alternative>,
    /// Why this one, or why none.
    pub reason: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Choice {
    /// The catalog entry's name.
    pub name: String,
    pub title: String,
    /// What the agent and its user call the server: lower-case, `[a-z0-9-]`, unique among the user's servers.
    pub server: String,
    pub confidence: f32,
    /// How it is run. A server that its publisher runs is a package of the registry [`Package::REMOTE`].
    pub package: Package,
    /// True when the entry declares no inputs at all, which does not mean that it needs none.
    pub inputs_unknown: bool,
}

impl Choice {
    /// The URL of a server that its publisher runs: what the agent gives it leaves the user's machine.
    pub fn address(&self) -> Option<&str> {
        (self.package.registry_type == Package::REMOTE).then_some(&self.package.identifier)
    }
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alternative {
    pub name: String,
    pub title: String,
    pub confidence: f32,
}
