//! The owner's account: made at the first start, so that nobody is asked for anything.

use super::{Home, read_json, write_json};
use crate::trouble::Trouble;
use base64::{Engine, prelude::BASE64_URL_SAFE_NO_PAD};
use protocol::ids::UserId;
use serde::{Deserialize, Serialize};

/// No `Debug`: it holds the password.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Owner {
    pub email: String,
    pub password: String,
    /// Known once the account exists.
    #[serde(default)]
    pub user_id: Option<UserId>,
}

impl Owner {
    pub const EMAIL: &str = "owner@localhost";

    pub fn load(home: &Home) -> Result<Option<Self>, Trouble> {
        read_json(&home.path().join("owner.json"))
    }

    /// Loads it, or thinks up a password of 32 random bytes and keeps it.
    pub fn load_or_make(home: &Home) -> Result<Self, Trouble> {
        if let Some(owner) = Self::load(home)? {
            return Ok(owner);
        }
        let password = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let owner = Self { email: Self::EMAIL.to_owned(), password, user_id: None };
        owner.save(home)?;
        Ok(owner)
    }

    pub fn save(&self, home: &Home) -> Result<(), Trouble> {
        write_json(&home.path().join("owner.json"), self)
    }
}
