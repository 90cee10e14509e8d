//! What the daemon and the control plane say to each other.

use crate::{
    Timestamp,
    ids::*,
    server::{ServerSpec, ServerStatus, Source},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// `POST /api/toolboxes`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ToolboxCreate {
    pub name: String,
    /// A machine to be made for it. The same request again goes on with what the first one began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provision: Option<Provision>,
}

/// The reply; the only time that the token is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ToolboxCreated {
    pub id: ToolboxId,
    /// Works once, within the hour. Absent with a machine, which has it already.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enrolment_token: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// A machine to be made in the user's own account, with the provider's token in the user's vault (server
/// `provider:digitalocean`, key `DIGITALOCEAN_TOKEN`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Provision {
    pub provider: Provider,
    /// The provider's own word for it, e.g. `fra1`.
    pub region: String,
    /// The provider's own word for it, e.g. `s-2vcpu-4gb`.
    pub size: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    DigitalOcean,
}

/// A machine that was made for a toolbox; it is destroyed with it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    pub provider: Provider,
    pub region: String,
    pub size: String,
    /// What the provider calls it; absent until its answer has come.
    #[serde(default)]
    pub id: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Toolbox {
    pub id: ToolboxId,
    pub name: String,
    /// `pending`, `online`, `late` or `offline`.
    pub state: String,
    pub created_at: Timestamp,
    #[serde(default)]
    pub last_seen_at: Option<Timestamp>,
    /// Where its gateway listens, as the control plane reaches it.
    #[serde(default)]
    pub gateway: Option<String>,
    pub generation: u64,
    pub applied_generation: u64,
    #[serde(default)]
    pub version: Option<String>,
    /// What is wrong with the machine, in words: e.g. that Docker does not answer.
    #[serde(default)]
    pub trouble: Option<String>,
    /// Seconds that its clock was ahead of the control plane's when it last checked in.
    #[serde(default)]
    pub skew: Option<i64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
}

/// `POST /api/toolboxes/enrol`, with the enrolment token as the bearer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// Ed25519, raw 32 bytes, base64url without padding.
    pub public_key: String,
    pub gateway: String,
    pub version: String,
    /// SHA-256 of the DER of the certificate that the gateway shows when it is called over TLS; 64 digits, lower-case hex. Said
    /// here only: nothing later puts another in its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnrolReply {
    pub toolbox_id: ToolboxId,
    /// The user whose toolbox this is: a capability for anybody else is refused.
    pub owner: UserId,
    /// Keys that capabilities may be signed with: key id to Ed25519 public key, as above.
    pub capability_keys: BTreeMap<String, String>,
    /// Where `POST /api/toolboxes/checkin` is.
    pub control_plane: String,
}

/// `POST /api/toolboxes/checkin`, with a JWT that the toolbox signed as the bearer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckInRequest {
    /// A new one each time the daemon starts.
    pub boot_id: String,
    /// Counts up within a boot; a lower one than seen before is answered and not recorded.
    pub sequence: u64,
    /// The toolbox's clock, to measure skew; never an authority.
    pub sent_at: Timestamp,
    pub version: String,
    pub gateway: String,
    /// The generation of the desired state in the ledger; 0 for none.
    pub known_generation: u64,
    /// The generation that the machine matches.
    pub applied_generation: u64,
    /// The sequence of the revocation list that it holds.
    pub revocation_sequence: u64,
    pub servers: Vec<ServerStatus>,
    /// False freezes removals: nothing can be said about what runs.
    pub docker: bool,
    #[serde(default)]
    pub trouble: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CheckInReply {
    /// Seconds until the next one.
    pub interval: u32,
    /// The control plane's clock.
    pub now: Timestamp,
    /// Present when its generation is newer than `known_generation`.
    #[serde(default)]
    pub desired: Option<DesiredState>,
    pub revocations: Revocations,
    /// The capability keys in force, as in the enrolment.
    #[serde(default)]
    pub capability_keys: BTreeMap<String, String>,
}

/// All that should run; whatever is not in it should not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DesiredState {
    pub generation: u64,
    pub servers: Vec<ServerSpec>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocations {
    pub sequence: u64,
    /// Lowest epoch that is still good, by agent; absent means any.
    #[serde(default)]
    pub epochs: BTreeMap<AgentId, u64>,
    /// Capabilities with one of these `jti` are refused.
    #[serde(default)]
    pub revoked: Vec<String>,
}

/// `POST /api/toolboxes/credentials`, with the toolbox's JWT as the bearer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CredentialsRequest {
    pub server_id: ServerId,
    /// X25519, raw 32 bytes, base64url; made for this request and thrown away after it.
    pub recipient_key: String,
    /// Ed25519 by the enrolled key over the canonical form of this request, base64url; see `sealing::delivery`.
    pub signature: String,
    /// 16 random bytes, base64url.
    pub nonce: String,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CredentialsReply {
    pub sealed: Vec<SealedCredential>,
    /// Keys that the server wants and the vault does not have.
    pub missing: Vec<String>,
}

/// A credential that only the requester can open; see `sealing::delivery` for what it is bound to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SealedCredential {
    pub key: String,
    pub credential_id: CredentialId,
    pub version: i32,
    /// Seconds since the epoch; it cannot be opened later.
    pub expires_at: i64,
    /// HPKE encapsulated key, base64url.
    pub enc: String,
    pub ciphertext: String,
    /// Ed25519 by the control plane over the envelope, base64url, and the id of the key.
    pub signature: String,
    pub kid: String,
}

/// `POST /api/toolboxes/{id}/servers`: deploy a server without the chat.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerCreate {
    /// Made from the source when absent.
    #[serde(default)]
    pub name: Option<String>,
    pub source: Source,
    #[serde(default)]
    pub args: Vec<String>,
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    #[serde(default)]
    pub secrets: Vec<String>,
    #[serde(default)]
    pub hosts: Vec<String>,
}

/// A server as its user sees it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Server {
    #[serde(flatten)]
    pub spec: ServerSpec,
    pub toolbox_id: ToolboxId,
    /// The catalog entry that it came from.
    #[serde(default)]
    pub catalog_name: Option<String>,
    pub status: ServerStatus,
    /// Tools whose definition is no longer the one that was granted: they cannot be called until granted again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed_tools: Vec<String>,
}
