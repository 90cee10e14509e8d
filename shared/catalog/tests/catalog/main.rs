//! The catalog against a real database: imports from a registry that misbehaves, and searches.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod double;
mod import;
mod search;
mod standin;
