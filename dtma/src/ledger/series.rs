//! How often in a row each server ended, so that a daemon that starts anew does not begin to hammer.

use protocol::ids::ServerId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A server's ends without a good run between them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Series {
    /// The desired state under which it ended: another one clears the series.
    pub generation: u64,
    pub ends: u32,
    /// Not to be started again before, seconds since the epoch.
    pub until: i64,
}

pub type AllSeries = BTreeMap<ServerId, Series>;
