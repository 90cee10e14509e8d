#![doc = include_str!("../README.md")]

pub mod commands;
pub mod config;
mod daemon;
pub mod docker;
pub mod egress;
pub mod events;
pub mod gateway;
pub mod kept;
pub mod ledger;
pub mod link;
pub mod packages;
pub mod place;
pub mod reconcile;
mod scrub;
pub mod update;
pub mod watch;
pub mod wire;

pub(crate) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |half: u8| char::from(DIGITS[usize::from(half & 15)]);
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]).collect()
}
