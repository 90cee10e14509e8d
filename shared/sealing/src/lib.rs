#![doc = include_str!("../README.md")]

mod bytes;
pub mod delivery;
pub mod envelope;
pub mod fields;
pub mod vault;
pub mod wrap;

pub use vault::{Error, SecretStore, Vault};
pub use wrap::{KeyFile, KeyWrap};

/// 32 secret bytes, zeroed when dropped.
pub type Key = zeroize::Zeroizing<[u8; 32]>;
