//! The daemon as a program: a hand-written control plane, real Docker, real packages.

mod confine;
mod deploy;
mod failure;
mod support;
mod survive;
