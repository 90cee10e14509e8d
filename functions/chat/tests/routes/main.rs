//! The routes over a real database, through the whole application.

#[path = "../../../../shared/models/tests/support/aimock.rs"]
mod aimock;
mod model;
mod scene;
mod search;
mod sessions;
mod turns;
