//! The function's routes, and what they leave in a real database.

mod agents;
mod app;
mod create;
