#![doc = include_str!("../README.md")]

mod arguments;
pub mod control;
pub mod device;
mod jws;
pub mod key;
pub mod mint;
mod refusal;
pub mod verify;

pub use arguments::is_usable_schema;
pub use key::{KeyError, PublicKey, SigningKey};
pub use mint::{Bearer, MintError, Minter};
pub use refusal::Refusal;
pub use verify::{Checked, OlderRevocations, Verifier};

/// `iss` of whatever the control plane signs, `aud` of what is meant for it.
pub const CONTROL_PLANE: &str = "agentopia";

/// Seconds that a capability lives at most.
pub const MAX_LIFE: i64 = 15 * 60;

/// Bytes of a token that are looked at; some 300 tools fit.
pub const MAX_TOKEN: usize = 64 * 1024;
