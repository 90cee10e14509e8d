//! Who this toolbox is: a key that never leaves the machine, and what enrolment told.

use super::file::{Error, write_atomically};
use capability::SigningKey;
use protocol::ids::{ToolboxId, UserId};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fs, io, path::Path};
use zeroize::Zeroizing;

/// The Ed25519 key that the toolbox signs its requests with.
pub struct Identity(pub SigningKey);

impl Identity {
    pub(super) fn load_or_create(path: &Path) -> Result<Self, Error> {
        let der = match fs::read(path) {
            Ok(der) => Zeroizing::new(der),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let der = SigningKey::generate().map_err(|_| Error::Random)?;
                write_atomically(path, &der).map_err(|e| Error::io(path, e))?;
                der
            }
            Err(e) => return Err(Error::io(path, e)),
        };
        SigningKey::from_pkcs8(&der).map(Self).map_err(|_| Error::Key { path: path.to_path_buf() })
    }
}

/// What the control plane said when this toolbox enrolled, and what it says since.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Enrolment {
    pub toolbox_id: ToolboxId,
    pub owner: UserId,
    pub control_plane: String,
    /// Key id to Ed25519 public key. The first set is trusted because the enrolment token was; each later one comes by a
    /// check-in to the same address.
    pub capability_keys: BTreeMap<String, String>,
    /// Where the gateway listens.
    pub listen: String,
    /// By which name or address it is called from elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<String>,
}
