#![doc = include_str!("../README.md")]

pub mod app;
mod body;
mod clock;
pub mod config;
mod context;
mod error;
mod identity;
#[cfg(feature = "hosted")]
pub mod lambda;
pub mod mint;
mod openapi;
mod parameters;
mod place;
pub mod reach;
pub mod request;
pub mod routes;
mod strict;
#[cfg(feature = "testing")]
pub mod testing;
pub mod token;
mod wake;

pub use app::app;
pub use body::Json;
pub use clock::Clock;
pub use context::Context;
pub use error::Error;
pub use identity::{Bearer, Device, Devices, KEY_PREFIX, Operator, User, Verifier};
pub use parameters::{Path, Query};
pub use place::Place;
pub use routes::{Route, Who};
pub use wake::Wake;
