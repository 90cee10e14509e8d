//! The function's routes, and what they leave in a real database.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod agents;
mod app;
mod create;
