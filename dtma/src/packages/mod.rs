//! From `npx:package` to an image that starts: resolved once, installed once, named by what it holds.
//!
//! An installer container of the runner image gets the package over the network, is made into an image and thrown away.
//! It never sees a credential; the container that later does see one has the package read-only and reaches only its
//! hosts. Install scripts of npm packages do not run: they would run with the network and nobody's grant.

mod command;
mod install;
mod names;
mod registry;
mod tidy;

pub use command::Installed;
pub use install::{Failure, Packages};
pub use names::BadName;
pub use registry::Registry;
pub use tidy::{garbage, no_room};

use protocol::server::Source;

/// The runner images; scripts/build-images makes them.
pub const NODE: &str = "agentopia/mcp-node";
pub const PYTHON: &str = "agentopia/mcp-python";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Npx,
    Uvx,
}

impl Kind {
    pub fn runner(self) -> &'static str {
        match self {
            Self::Npx => NODE,
            Self::Uvx => PYTHON,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Npx => "npx",
            Self::Uvx => "uvx",
        }
    }
}

/// A package to be installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    pub kind: Kind,
    pub package: String,
    pub version: Option<String>,
    /// Further requirements, ours.
    pub with: Vec<String>,
}

impl Wanted {
    /// `None` when the source is not a package.
    pub fn of(source: &Source) -> Option<Result<Self, BadName>> {
        let (kind, package, version) = match source {
            Source::Npx { package, version } => (Kind::Npx, package, version),
            Source::Uvx { package, version } => (Kind::Uvx, package, version),
            Source::Oci { .. } | Source::Remote { .. } => return None,
        };
        Some(names::check(kind, package, version.as_deref()).map(|()| Self {
            kind,
            package: package.clone(),
            version: version.clone(),
            with: vec![],
        }))
    }

    /// `npx:package`, as pins know it.
    pub fn key(&self) -> String {
        format!("{}:{}", self.kind.word(), self.package)
    }
}
