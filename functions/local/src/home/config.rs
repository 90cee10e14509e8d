//! What stays the same from one start to the next: ports, and which toolbox is this machine's.

use super::{Home, read_json, write_json};
use crate::trouble::Trouble;
use protocol::ids::ToolboxId;
use serde::{Deserialize, Serialize};

pub const DEFAULT_PORT: u16 = 8787;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub port: u16,
    /// The local toolbox's gateway; found at the first start.
    #[serde(default)]
    pub gateway_port: Option<u16>,
    /// The local toolbox, once it has enrolled.
    #[serde(default)]
    pub toolbox_id: Option<ToolboxId>,
}

impl Config {
    pub fn load(home: &Home) -> Result<Self, Trouble> {
        let stored = read_json(&home.path().join("config.json"))?;
        Ok(stored.unwrap_or(Self { port: DEFAULT_PORT, gateway_port: None, toolbox_id: None }))
    }

    pub fn save(&self, home: &Home) -> Result<(), Trouble> {
        write_json(&home.path().join("config.json"), self)
    }

    /// Where the control plane is.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}
