//! What a handler and the extractors can count on.

use crate::{Clock, Place, Verifier, identity::Devices};
use database::Database;
use ephemeral::Ephemeral;
use protocol::ids::UserId;
use std::{collections::HashSet, sync::Arc};

/// Made once at start; a clone costs a few reference counts.
#[derive(Clone)]
pub struct Context {
    pub database: Database,
    /// Checks users' tokens.
    pub verifier: Verifier,
    /// Toolboxes' keys as looked up a moment ago.
    pub devices: Devices,
    /// State that expires: nonces, rate limits.
    pub ephemeral: Ephemeral,
    pub clock: Clock,
    /// Who may do what concerns the whole installation.
    pub operators: Arc<HashSet<UserId>>,
    /// Origins of pages that may call from a browser.
    pub origins: Arc<[String]>,
    /// Where browsers on the same machine reach this; none behind a function URL.
    pub place: Option<Place>,
}

impl Context {
    pub fn new(database: Database, verifier: Verifier, ephemeral: Ephemeral) -> Self {
        Self {
            database,
            verifier,
            devices: Devices::default(),
            ephemeral,
            clock: Clock::system(),
            operators: Arc::default(),
            origins: Arc::default(),
            place: None,
        }
    }

    pub fn with_clock(mut self, clock: Clock) -> Self {
        self.clock = clock;
        self
    }

    pub fn with_operators(mut self, operators: impl IntoIterator<Item = UserId>) -> Self {
        self.operators = Arc::new(operators.into_iter().collect());
        self
    }

    pub fn with_place(mut self, place: Place) -> Self {
        self.place = Some(place);
        self
    }

    pub fn with_origins(mut self, origins: impl IntoIterator<Item = String>) -> Self {
        self.origins = origins.into_iter().collect();
        self
    }
}
