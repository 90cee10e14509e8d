//! The function's routes over a real database.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod app;
mod checkin;
mod enrol;
mod events;
mod servers;
mod toolboxes;
