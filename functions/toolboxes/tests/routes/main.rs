//! The function's routes over a real database.

#![allow(clippy::unwrap_used, reason = "a test may fail")]

mod app;
mod checkin;
mod digitalocean;
mod enrol;
mod events;
mod provision;
mod scene;
mod servers;
mod toolboxes;
mod unprovision;
