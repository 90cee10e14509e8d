#![doc = include_str!("../README.md")]

mod error;
pub mod indexer;
mod selector;
mod unfit;

pub use error::Error;
pub use selector::{Candidate, NeedResult, Selection, Selector};
