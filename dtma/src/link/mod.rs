//! Everything that speaks to the control plane: enrolment, check-in, credentials. Only the toolbox calls; the control plane's one
//! way in is `/wake`, which makes the next call come now.

mod backoff;
mod checkin;
pub(crate) mod client;
pub(crate) mod credentials;
mod enrol;

pub use checkin::{CheckIn, Report, Waker};
pub use client::{Client, Error};
pub use credentials::{Credentials, Fetched, Fetching};
pub use enrol::enrol;
