#![doc = include_str!("../README.md")]

pub mod agent;
pub mod capability;
pub mod catalog;
pub mod chat;
pub mod event;
pub mod grant;
pub mod ids;
pub mod plan;
pub mod problem;
pub mod run;
pub mod server;
pub mod toolbox;
pub mod vault;

/// A point in time as RFC 3339 text on the wire.
pub type Timestamp = jiff::Timestamp;
