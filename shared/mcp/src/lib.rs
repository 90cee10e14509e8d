#![doc = include_str!("../README.md")]

#[cfg(feature = "client")]
pub mod client;
pub mod connection;
mod error;
pub mod json;
mod level;
pub mod message;
pub mod mirrored;
#[cfg(feature = "client")]
pub mod remote;
pub mod reply;
pub mod version;

pub use connection::{Answer, Connection, Event, Options, Peer};
pub use error::{Error, code};
pub use level::Level;
pub use message::{Id, Message};
pub use version::Version;
