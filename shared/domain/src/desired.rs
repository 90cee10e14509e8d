//! Which desired state a toolbox obeys.
//!
//! Only a valid state of a higher generation ever changes anything. A lower one is an old message; the same one with other
//! content is a fault or an attack, and neither may remove a server.

mod fit;
#[cfg(test)]
mod tests;

pub use fit::{Unfit, fit};

use crate::names::{is_server_name, server_slug};
use protocol::{server::Source, toolbox::DesiredState};
use std::collections::BTreeSet;

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("generation {next} is older than {current}")]
    Older { current: u64, next: u64 },
    #[error("generation {0} was received before with other content")]
    Other(u64),
    #[error("generation 0 is no state")]
    Zero,
    #[error("two of its servers have the same name or id")]
    Twice,
    #[error("one of its servers has a name that is none")]
    Name,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepted {
    /// To be kept and carried out.
    Newer,
    /// Known already.
    Same,
}

/// Whether `next` may take the place of `current`.
pub fn accept(current: Option<&DesiredState>, next: &DesiredState) -> Result<Accepted, Refusal> {
    if next.generation == 0 {
        return Err(Refusal::Zero);
    }
    let accepted = match current {
        Some(current) if next.generation < current.generation => {
            return Err(Refusal::Older { current: current.generation, next: next.generation });
        }
        Some(current) if next.generation == current.generation => {
            if !same(current, next) {
                return Err(Refusal::Other(next.generation));
            }
            Accepted::Same
        }
        _ => Accepted::Newer,
    };
    let names: BTreeSet<_> = next.servers.iter().map(|server| &server.name).collect();
    let ids: BTreeSet<_> = next.servers.iter().map(|server| server.id).collect();
    if names.len() != next.servers.len() || ids.len() != next.servers.len() {
        return Err(Refusal::Twice);
    }
    if !names.into_iter().all(|name| is_server_name(name)) {
        return Err(Refusal::Name);
    }
    Ok(accepted)
}

/// The order of the servers says nothing.
fn same(one: &DesiredState, other: &DesiredState) -> bool {
    one.servers.len() == other.servers.len() && one.servers.iter().all(|server| other.servers.contains(server))
}

/// A short name for a server whose user gave none: `npx @modelcontextprotocol/server-memory` is `memory`.
pub fn name(source: &Source) -> String {
    match source {
        Source::Npx { package, .. } | Source::Uvx { package, .. } => server_slug(package),
        Source::Oci { image } => {
            let image = image.split('@').next().unwrap_or(image);
            let start = image.rfind('/').map_or(0, |slash| slash + 1);
            // A colon before the last slash is a port.
            let tag = image[start..].find(':').map_or(image.len(), |colon| start + colon);
            server_slug(&image[..tag])
        }
        Source::Remote { url } => {
            let host = url.split("://").last().unwrap_or(url).split(['/', ':', '?', '#']).next().unwrap_or(url);
            let labels: Vec<&str> = host.split('.').filter(|label| !matches!(*label, "www" | "mcp" | "api")).collect();
            server_slug(labels.first().copied().unwrap_or(host))
        }
    }
}
