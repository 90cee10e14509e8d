//! The daemon as a program: a hand-written control plane, real Docker, real packages.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

mod breakout;
mod chaos;
mod confine;
mod conformance;
mod deploy;
mod events;
mod failure;
mod given;
mod reach;
mod remote;
mod support;
mod survive;
mod update;
