#![doc = include_str!("../README.md")]

pub mod commands;
pub mod config;
mod daemon;
pub mod docker;
pub mod egress;
pub mod events;
pub mod gateway;
pub mod ledger;
pub mod link;
pub mod packages;
pub mod place;
pub mod reconcile;
pub mod update;
pub mod watch;
pub mod wire;

use std::fmt::Write;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
