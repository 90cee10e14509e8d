//! The function's routes over a real database.

mod app;
mod checkin;
mod enrol;
mod servers;
mod toolboxes;
