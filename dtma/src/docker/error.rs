//! What can go wrong with Docker, as far as anybody above cares.

use bollard::errors::Error as Bollard;
use std::{io, path::PathBuf};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the Docker engine does not answer")]
    Unreachable(#[source] Box<Bollard>),
    #[error("the Docker engine did not finish '{call}' within {seconds} s")]
    TimedOut { call: &'static str, seconds: u64 },
    #[error("Docker knows no such thing: {0}")]
    NotFound(String),
    /// The name is taken, or the container is not in the state for this.
    #[error("Docker refuses: {0}")]
    Conflict(String),
    #[error("Docker refuses: {0}")]
    Refused(String),
    #[error("the pipes to a server at {} cannot be used", path.display())]
    Pipes { path: PathBuf, source: io::Error },
    #[error("{0} cannot be given to a server: it is too long or has a zero byte in it")]
    Given(String),
    #[error("a server took not all that it is given")]
    Giving(#[source] io::Error),
    #[error("this machine is full: {0}")]
    Full(String),
}

impl Error {
    /// True when nothing can be said about what runs.
    pub fn is_unreachable(&self) -> bool {
        matches!(self, Self::Unreachable(_) | Self::TimedOut { .. })
    }
}

impl From<Bollard> for Error {
    fn from(error: Bollard) -> Self {
        match error {
            Bollard::DockerResponseServerError { status_code: 404, message } => Self::NotFound(message),
            Bollard::DockerResponseServerError { status_code: 409, message } => Self::Conflict(message),
            Bollard::DockerResponseServerError { message, .. } => Self::Refused(message),
            Bollard::DockerStreamError { error } => Self::Refused(error),
            other => Self::Unreachable(Box::new(other)),
        }
    }
}
