//! The keys of this installation, made at the first start.

use super::Home;
use crate::trouble::{self, Trouble};
use ring::{
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair},
};
use sealing::{KeyFile, KeyWrap};
use std::{
    fs,
    io::{ErrorKind, Write},
    os::unix::fs::{OpenOptionsExt, PermissionsExt},
    path::Path,
    sync::Arc,
};
use zeroize::Zeroizing;

const VAULT: &str = "vault.key";

pub struct Keys {
    /// Wraps the vault's tenant keys.
    pub vault: Arc<dyn KeyWrap>,
    /// Signs capabilities and sealed deliveries: Ed25519, PKCS#8.
    pub capability: Zeroizing<Vec<u8>>,
    /// Signs users' tokens: P-256, PKCS#8.
    pub accounts: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// Whether this home has had keys before.
    pub fn are_there(home: &Home) -> bool {
        home.keys().join(VAULT).exists()
    }

    /// Loads the keys and makes those that are not there.
    pub fn load_or_make(home: &Home) -> Result<Self, Trouble> {
        let folder = home.keys();
        let vault = folder.join(VAULT);
        let wrap = KeyFile::open_or_create(&vault).map_err(|error| unusable(&vault, &error))?;
        let capability = load_or_make(&folder.join("capability.pk8"), || {
            capability::SigningKey::generate().map_err(|_| no_random())
        })?;
        let accounts = load_or_make(&folder.join("accounts.pk8"), || {
            let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new());
            document.map(|der| Zeroizing::new(der.as_ref().to_vec())).map_err(|_| no_random())
        })?;
        Ok(Self { vault: Arc::new(wrap), capability, accounts })
    }
}

/// Gives the vault another key beside those that it has, and says its number. Whoever starts after this uses it.
pub fn rotate_vault(home: &Home) -> Result<u32, Trouble> {
    let vault = home.keys().join(VAULT);
    if !vault.exists() {
        return Err(Trouble::new("This home has no vault yet.", "Start it first: agentopia up"));
    }
    KeyFile::rotate(&vault).map(|keys| keys.current()).map_err(|error| unusable(&vault, &error))
}

fn unusable(vault: &Path, error: &(dyn std::error::Error + 'static)) -> Trouble {
    Trouble::new(
        format!("The vault's key {} cannot be used.", vault.display()),
        "Put it back from a backup; or remove it to start with a new one, which cannot read what the old one sealed.",
    )
    .caused_by(error)
}

fn no_random() -> Trouble {
    Trouble::new("No key could be made.", "Try again; the system gives no random numbers at the moment.")
}

/// A key is written once and never over: whoever loses the vault's loses what it sealed.
fn load_or_make(
    path: &Path,
    make: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, Trouble>,
) -> Result<Zeroizing<Vec<u8>>, Trouble> {
    match fs::read(path) {
        Ok(key) if key.is_empty() => Err(Trouble::new(
            format!("The key {} is empty.", path.display()),
            "Put it back from a backup; or remove it to start with a new one, which cannot read what the old one sealed.",
        )),
        Ok(key) => {
            let key = Zeroizing::new(key);
            fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(trouble::file("Closing", path))?;
            Ok(key)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let key = make()?;
            // Under another name first: a crash leaves no half key.
            let next = path.with_extension("next");
            let write = || {
                let mut file =
                    fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
                file.write_all(&key)?;
                file.sync_all()?;
                fs::rename(&next, path)
            };
            write().map_err(trouble::file("Writing", path))?;
            Ok(key)
        }
        Err(error) => Err(trouble::file("Reading", path)(error)),
    }
}
