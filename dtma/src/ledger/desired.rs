//! Which desired state is taken: a newer one, and nothing else.

use protocol::{server::ServerSpec, toolbox::DesiredState};
use std::collections::BTreeSet;

/// Why an offered desired state changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error("generation {offered} is older than {held}")]
    Older { offered: u64, held: u64 },
    #[error("generation {0} came with another content before")]
    Changed(u64),
    #[error("two servers are called '{0}'")]
    Name(String),
    #[error("a server is listed twice")]
    Id,
    #[error("'{0}' is not a server's name")]
    BadName(String),
}

/// What to do with an offer.
#[derive(Clone, Debug, PartialEq)]
pub enum Desired {
    Take(DesiredState),
    /// The one that is held already.
    Same,
}

impl Desired {
    pub fn judge(held: Option<&DesiredState>, offered: DesiredState) -> Result<Self, Refused> {
        if let Some(held) = held {
            if offered.generation < held.generation {
                return Err(Refused::Older { offered: offered.generation, held: held.generation });
            }
            if offered.generation == held.generation {
                return if offered == *held { Ok(Self::Same) } else { Err(Refused::Changed(held.generation)) };
            }
        }
        check(&offered.servers)?;
        Ok(Self::Take(offered))
    }
}

fn check(servers: &[ServerSpec]) -> Result<(), Refused> {
    let (mut names, mut ids) = (BTreeSet::new(), BTreeSet::new());
    for server in servers {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if server.name.is_empty() || server.name.len() > 40 || !server.name.bytes().all(plain) {
            return Err(Refused::BadName(server.name.chars().take(60).collect()));
        }
        if !names.insert(&server.name) {
            return Err(Refused::Name(server.name.clone()));
        }
        if !ids.insert(server.id) {
            return Err(Refused::Id);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
