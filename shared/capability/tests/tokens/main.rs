//! Tokens as their verifiers see them.

mod common;
mod forgery;
mod short;
mod verify;
