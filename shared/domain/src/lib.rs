#![doc = include_str!("../README.md")]

pub mod credentials;
pub mod launch;
pub mod names;
pub mod plan;
