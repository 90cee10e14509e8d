//! The routes over a real database, through the whole application.

#![allow(clippy::unwrap_used, reason = "a test stops where it did not get what it expects")]

#[path = "../../../../shared/models/tests/support/aimock.rs"]
mod aimock;
mod model;
mod scene;
mod search;
mod sessions;
mod turns;
