//! One type for each kind of id, so that an agent's id is never taken for a run's.

use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};
use uuid::Uuid;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; version 7, so that ids sort by the time they were made.
            #[allow(clippy::new_without_default, reason = "a default id would hide that each is new")]
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(s: &str) -> Result<Self, Self::Err> {
                s.parse().map(Self)
            }
        }
    )*};
}

ids! {
    /// An account: Supabase Auth's `sub`.
    UserId,
    /// A machine that runs tools for its user.
    ToolboxId,
    /// A server that a toolbox runs, or should run.
    ServerId,
    AgentId,
    RunId,
    GrantId,
    /// A conversation.
    SessionId,
    CredentialId,
    ApiKeyId,
    /// One import of a registry into the catalog.
    ImportId,
    /// Where a toolbox kept events before they were uploaded.
    SpoolId,
    RequestId,
}
