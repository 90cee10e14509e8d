#![doc = include_str!("../README.md")]

mod calls;
mod data;
pub mod journal;
mod run;
mod step;
pub mod tools;

pub use journal::{Entry, Journal, JournalError};
pub use run::{Brief, Ended, Limits, Outcome, Run};
pub use tools::{Gateway, Output, Tools, ToolsError};
