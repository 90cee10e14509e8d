//! A server's credentials, fetched just before it starts and sealed to a key made for that one request.

use super::{Error, client::Device};
use capability::{PublicKey, Verifier};
use protocol::{
    chat::Secret,
    ids::{ServerId, UserId},
    toolbox::CredentialsReply,
};
use sealing::delivery::Recipient;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, RwLock},
};

/// It has no `Debug`: it holds values.
#[derive(Default)]
pub struct Fetched {
    pub values: BTreeMap<String, Secret>,
    /// Keys that the vault does not have.
    pub missing: Vec<String>,
}

pub type Fetching<'a> = Pin<Box<dyn Future<Output = Result<Fetched, Error>> + Send + 'a>>;

pub trait Credentials: Send + Sync {
    fn fetch(&self, server: ServerId) -> Fetching<'_>;
}

/// Capability keys in force, by key id; shared with the check-in that renews them.
pub(crate) type Keys = Arc<RwLock<BTreeMap<String, String>>>;

pub(crate) struct Vault {
    pub device: Device,
    pub owner: UserId,
    pub keys: Keys,
    pub verifier: Verifier,
}

impl Credentials for Vault {
    fn fetch(&self, server: ServerId) -> Fetching<'_> {
        Box::pin(async move {
            let now = self.verifier.time(jiff::Timestamp::now().as_second());
            let (recipient, request) = Recipient::new(self.device.toolbox, server, &self.device.identity.0);
            let reply: CredentialsReply = self.device.post("/api/toolboxes/credentials", now, &request).await?;
            let keys: BTreeMap<String, PublicKey> = match self.keys.read() {
                Ok(keys) => keys.iter().filter_map(|(kid, key)| Some((kid.clone(), key.parse().ok()?))).collect(),
                Err(_) => BTreeMap::new(),
            };
            let now = self.verifier.time(jiff::Timestamp::now().as_second());
            let mut fetched = Fetched { missing: reply.missing, ..Fetched::default() };
            for sealed in &reply.sealed {
                let opened = recipient.open(sealed, self.owner, |kid| keys.get(kid).copied(), now)?;
                fetched.values.insert(opened.key, opened.value);
            }
            Ok(fetched)
        })
    }
}
