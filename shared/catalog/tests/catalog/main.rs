//! The catalog against a real database: imports from a registry that misbehaves, and searches.

mod double;
mod import;
mod search;
mod standin;
