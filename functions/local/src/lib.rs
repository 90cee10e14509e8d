#![doc = include_str!("../README.md")]

pub mod accounts;
pub mod cli;
pub mod client;
pub mod commands;
pub mod home;
pub mod server;
pub mod source;
mod steps;
mod terminal;
pub mod trouble;
pub mod up;
