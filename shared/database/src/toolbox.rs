//! Toolboxes and their check-in.

use crate::{Caller, Database, Error};
use protocol::{
    capability::RiskClass,
    ids::*,
    server::Tool,
    toolbox::{CheckInReply, CheckInRequest, EnrolRequest, Toolbox},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Whose toolbox an enrolment token was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct Enrolled {
    pub toolbox_id: ToolboxId,
    pub owner: UserId,
}

/// What a toolbox proves itself with: a request by a token, its gateway by a certificate.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ToolboxKey {
    /// Ed25519, base64url.
    pub public_key: String,
    pub owner: UserId,
    /// SHA-256 of the certificate that its gateway enrolled with, hex; none when it enrolled without.
    #[serde(default)]
    pub certificate: Option<String>,
}

/// A toolbox that can be told to look now.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Reachable {
    pub id: ToolboxId,
    pub gateway: String,
}

/// What a revocation answers: those who should hear of it soon.
#[derive(Deserialize)]
pub(crate) struct Revoked {
    pub(crate) toolboxes: Vec<Reachable>,
}

#[derive(Deserialize)]
struct Made {
    id: ToolboxId,
}

impl Database {
    /// `token_hash`: SHA-256 of the enrolment token in hex; good for an hour, once. `Conflict` when the name is taken.
    pub async fn toolbox_create(&self, caller: &Caller, name: &str, token_hash: &str) -> Result<ToolboxId, Error> {
        let arguments = json!({"name": name, "token_hash": token_hash});
        self.call(caller, "toolbox_create", &arguments).await.map(|made: Made| made.id)
    }

    pub async fn toolbox_list(&self, caller: &Caller) -> Result<Vec<Toolbox>, Error> {
        self.call(caller, "toolbox_list", &json!({})).await
    }

    pub async fn toolbox_get(&self, caller: &Caller, id: ToolboxId) -> Result<Toolbox, Error> {
        self.call(caller, "toolbox_get", &json!({"id": id})).await
    }

    /// Its servers and their grants go with it. `Conflict` when it has a machine that was made for it, unless that is kept.
    pub async fn toolbox_delete(&self, caller: &Caller, id: ToolboxId, keep_machine: bool) -> Result<(), Error> {
        self.call(caller, "toolbox_delete", &json!({"id": id, "keep_machine": keep_machine})).await.map(|_: Value| ())
    }

    /// Takes the token's hash from its row: `Forbidden` the second time. For `Caller::service`.
    pub async fn toolbox_enrol(
        &self,
        caller: &Caller,
        token_hash: &str,
        request: &EnrolRequest,
    ) -> Result<Enrolled, Error> {
        #[derive(Serialize)]
        struct Arguments<'a> {
            token_hash: &'a str,
            #[serde(flatten)]
            request: &'a EnrolRequest,
        }
        self.call(caller, "toolbox_enrol", &Arguments { token_hash, request }).await
    }

    /// `NotFound` until it has enrolled. For `Caller::service`.
    pub async fn toolbox_key(&self, caller: &Caller, id: ToolboxId) -> Result<ToolboxKey, Error> {
        self.call(caller, "toolbox_key", &json!({"id": id})).await
    }

    /// Records what the toolbox sees, unless it has said something later before, and answers what it should know. The
    /// reply's `capability_keys` are left empty: the database has no keys.
    pub async fn toolbox_checkin(
        &self,
        caller: &Caller,
        request: &CheckInRequest,
        classify: impl Fn(&Tool) -> RiskClass,
    ) -> Result<CheckInReply, Error> {
        let mut arguments = serde_json::to_value(request).map_err(Error::unexpected)?;
        for (nth, server) in request.servers.iter().enumerate() {
            for (tool, seen) in server.tools.iter().flatten().enumerate() {
                arguments["servers"][nth]["tools"][tool]["class"] = json!(classify(seen));
            }
        }
        self.call(caller, "toolbox_checkin", &arguments).await
    }
}
