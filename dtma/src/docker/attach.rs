//! A server's standard streams.

use super::{Engine, Error, given::Given, labels};
use std::pin::Pin;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};

pub struct Attached {
    /// The protocol.
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Attached {
    /// What a container's init waits for before it becomes the server. Not cancel-safe: half of it ends the container.
    pub async fn give(&mut self, given: &Given) -> Result<(), Error> {
        let bytes = given.bytes()?;
        self.input.write_all(&bytes).await.map_err(Error::Giving)
    }
}

impl Engine {
    /// `stderr` is called with what the container writes there.
    pub async fn attach(&self, id: &str, stderr: impl FnMut(&[u8]) + Send + 'static) -> Result<Attached, Error> {
        let seen = self.inspect(id).await?;
        let (toolbox, server) = (seen.labels.get(labels::TOOLBOX), seen.labels.get(labels::SERVER));
        let ours = toolbox.and_then(|id| id.parse().ok()).zip(server.and_then(|id| id.parse().ok()));
        let (toolbox, server) = ours.ok_or_else(|| Error::NotFound(format!("a server of ours in container {id}")))?;
        self.pipes.open(&labels::name(toolbox, server), seen.process, stderr)
    }
}
