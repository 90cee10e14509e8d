#![doc = include_str!("../README.md")]

pub mod address;
pub mod credentials;
pub mod desired;
pub mod intent;
pub mod launch;
pub mod names;
pub mod needs;
pub mod plan;
pub mod rank;
pub mod revocation;
pub mod risk;
pub mod text;
