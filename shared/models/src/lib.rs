#![doc = include_str!("../README.md")]

pub mod embedding;
pub mod language;
