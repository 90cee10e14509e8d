#![doc = include_str!("../README.md")]

mod check;
mod error;
pub mod import;
pub mod indexer;
mod nearest;
mod phrases;
pub mod registry;
mod selector;
mod tasks;
mod unfit;

pub use error::Error;
pub use selector::{Candidate, NeedResult, Selection, Selector};
