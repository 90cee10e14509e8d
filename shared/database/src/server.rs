//! Servers at a toolbox.

use crate::{
    Caller, Database, Error,
    toolbox::{Reachable, Revoked},
};
use protocol::{ids::*, server::Source, toolbox::Server};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeMap;

/// A server that should run. One that does the same already is shared instead of deployed twice.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Wanted {
    /// `[a-z0-9-]`; gets a number when it is taken.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The name when its user gave none.
    pub suggested: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub catalog_name: Option<String>,
    pub source: Source,
    /// Its user said which version: another one of the same entry does not do.
    pub pinned: bool,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
    pub secrets: Vec<String>,
    pub hosts: Vec<String>,
}

/// A server that its toolbox should hear of soon.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Deployed {
    #[serde(flatten)]
    pub server: Server,
    /// The toolbox's; absent until a machine has enrolled.
    pub gateway: Option<String>,
}

impl Database {
    /// A server that its user deploys directly; their own agent may use all of it.
    pub async fn server_create(&self, caller: &Caller, toolbox: ToolboxId, wanted: &Wanted) -> Result<Deployed, Error> {
        #[derive(Serialize)]
        struct Arguments<'a> {
            toolbox_id: ToolboxId,
            #[serde(flatten)]
            wanted: &'a Wanted,
        }
        self.call(caller, "server_create", &Arguments { toolbox_id: toolbox, wanted }).await
    }

    pub async fn server_list(&self, caller: &Caller, toolbox: ToolboxId) -> Result<Vec<Server>, Error> {
        self.call(caller, "server_list", &json!({"toolbox_id": toolbox})).await
    }

    /// One server, with its tools once they were listed.
    pub async fn server_get(&self, caller: &Caller, toolbox: ToolboxId, id: ServerId) -> Result<Server, Error> {
        self.call(caller, "server_get", &json!({"toolbox_id": toolbox, "id": id})).await
    }

    pub async fn server_restart(&self, caller: &Caller, toolbox: ToolboxId, id: ServerId) -> Result<Deployed, Error> {
        self.call(caller, "server_restart", &json!({"toolbox_id": toolbox, "id": id})).await
    }

    /// Its grants go with it, and what capabilities its agents have.
    pub async fn server_delete(
        &self,
        caller: &Caller,
        toolbox: ToolboxId,
        id: ServerId,
    ) -> Result<Vec<Reachable>, Error> {
        let arguments = json!({"toolbox_id": toolbox, "id": id});
        self.call(caller, "server_delete", &arguments).await.map(|revoked: Revoked| revoked.toolboxes)
    }
}
