//! A container's standard streams. Standard output is the protocol; standard error goes to whoever keeps the log.

use super::{Engine, Error, SLOW, deadline, pipes};
use bollard::{container::LogOutput, query_parameters::AttachContainerOptionsBuilder};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use std::{io, pin::Pin};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::io::StreamReader;

pub struct Attached {
    pub output: Box<dyn AsyncRead + Send + Unpin>,
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

impl Engine {
    /// `stderr` is called with what the container writes there, as long as the output is read.
    pub async fn attach(&self, id: &str, stderr: impl FnMut(&[u8]) + Send + 'static) -> Result<Attached, Error> {
        let seen = self.inspect(id).await?;
        if let (Some(pipes), Some(name)) = (&self.pipes, pipes::name(&seen)) {
            return pipes.open(&name, seen.process, stderr);
        }
        let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
        let streams = deadline("attach", SLOW, self.client().await?.attach_container(id, Some(options))).await?;
        let output = StreamReader::new(protocol(streams.output, stderr));
        Ok(Attached { output: Box::new(output), input: streams.input })
    }
}

/// Standard output alone; what comes on standard error is handed aside on the way.
fn protocol(
    frames: impl Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send + Unpin,
    mut stderr: impl FnMut(&[u8]) + Send,
) -> impl Stream<Item = io::Result<Bytes>> + Send + Unpin {
    frames.filter_map(move |frame| {
        let chosen = match frame {
            Ok(LogOutput::StdOut { message } | LogOutput::Console { message }) => Some(Ok(message)),
            Ok(LogOutput::StdErr { message }) => {
                stderr(&message);
                None
            }
            Ok(LogOutput::StdIn { .. }) => None,
            Err(error) => Some(Err(io::Error::other(error))),
        };
        std::future::ready(chosen)
    })
}
