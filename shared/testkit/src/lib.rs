#![doc = include_str!("../README.md")]

pub mod chaos;
mod cluster;
mod database;
pub mod model;
pub mod supabase;
mod wheel;

pub use cluster::stop;
pub use database::{TestDatabase, database, empty_database, user};
