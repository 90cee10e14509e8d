#![doc = include_str!("../README.md")]

pub mod chaos;
mod cluster;
mod database;
mod wheel;

pub use database::{TestDatabase, database, empty_database, user};
