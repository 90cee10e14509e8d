#![doc = include_str!("../README.md")]

pub mod credentials;
pub mod launch;
pub mod names;
pub mod plan;
pub mod desired;
pub mod revocation;
pub mod risk;
pub mod intent;
pub mod needs;
pub mod rank;
pub mod text;
