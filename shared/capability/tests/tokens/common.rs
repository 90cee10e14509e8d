//! One toolbox with its control plane's key.

use capability::*;
use protocol::{
    capability::{Claims, GrantedTool, RiskClass},
    ids::*,
    toolbox::Revocations,
};
use serde_json::{Value, json};
use std::collections::BTreeMap;

pub(crate) const NOW: i64 = 1_800_000_000;

pub(crate) struct Place {
    pub(crate) bearer: Bearer,
    pub(crate) pkcs8: Vec<u8>,
    pub(crate) minter: Minter,
    pub(crate) verifier: Verifier,
}

pub(crate) fn grant(server: &str, tool: &str, digest: &str, args: Option<Value>, class: RiskClass) -> GrantedTool {
    GrantedTool { server: server.into(), tool: tool.into(), digest: digest.into(), args, class }
}

pub(crate) fn list(sequence: u64, epochs: &[(AgentId, u64)], revoked: &[&str]) -> Revocations {
    Revocations {
        sequence,
        epochs: epochs.iter().copied().collect(),
        revoked: revoked.iter().map(|jti| (*jti).to_owned()).collect(),
    }
}

impl Place {
    pub(crate) fn new() -> Self {
        let pkcs8 = SigningKey::generate().expect("random").to_vec();
        let minter = Minter::from_pkcs8("k1", &pkcs8).expect("key");
        let bearer =
            Bearer { toolbox: ToolboxId::new(), owner: UserId::new(), agent: AgentId::new(), run: None, epoch: 7 };
        let keys = BTreeMap::from([("k1".to_owned(), minter.key().public_key().to_string())]);
        let verifier = Verifier::new(&keys, bearer.toolbox, bearer.owner).expect("keys");
        verifier.set_revocations(&list(1, &[], &[]), NOW).expect("first list");
        Self { bearer, pkcs8, minter, verifier }
    }

    pub(crate) fn keys(&self) -> BTreeMap<String, String> {
        BTreeMap::from([("k1".to_owned(), self.minter.key().public_key().to_string())])
    }

    pub(crate) fn claims(&self) -> Claims {
        let within = |folder: &str| {
            Some(json!({"required": ["path"], "properties": {"path": {"format": "path-within", "within": folder}}}))
        };
        let tools = vec![
            grant("time", "get", "d1", None, RiskClass::Read),
            grant("files", "write", "d3", within("/data"), RiskClass::Write),
            grant("files", "write", "d3", within("/tmp"), RiskClass::Destructive),
        ];
        self.bearer.claims(tools, NOW, None).expect("claims")
    }

    pub(crate) fn token(&self) -> String {
        self.minter.mint(&self.claims()).expect("minted")
    }

    pub(crate) fn revoke(&self, sequence: u64, epochs: &[(AgentId, u64)], revoked: &[&str]) {
        self.verifier.set_revocations(&list(sequence, epochs, revoked), NOW).expect("newer");
    }
}
