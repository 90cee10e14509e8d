//! A container's standard streams. Standard output is the protocol; standard error goes to whoever keeps the log.

use super::{Engine, Error, SLOW, deadline};
use bollard::{container::LogOutput, query_parameters::AttachContainerOptionsBuilder};
use bytes::Bytes;
use futures::Stream;
use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};
use tokio::io::AsyncWrite;

pub struct Attached {
    pub output: Output,
    pub input: Pin<Box<dyn AsyncWrite + Send>>,
}

type Frames = Pin<Box<dyn Stream<Item = Result<LogOutput, bollard::errors::Error>> + Send>>;

type Aside = Box<dyn FnMut(&[u8]) + Send>;

/// Standard output as a stream; what comes on standard error is handed aside on the way.
pub struct Output {
    frames: Frames,
    aside: Aside,
}

impl Stream for Output {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.frames.as_mut().poll_next(cx) {
                Poll::Ready(Some(Ok(LogOutput::StdErr { message }))) => (self.aside)(&message),
                Poll::Ready(Some(Ok(LogOutput::StdOut { message } | LogOutput::Console { message }))) => {
                    return Poll::Ready(Some(Ok(message)));
                }
                Poll::Ready(Some(Ok(LogOutput::StdIn { .. }))) => {}
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(Err(io::Error::other(error)))),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

impl Engine {
    /// `stderr` is called with what the container writes there, as long as the output is read.
    pub async fn attach(&self, id: &str, stderr: impl FnMut(&[u8]) + Send + 'static) -> Result<Attached, Error> {
        let options = AttachContainerOptionsBuilder::new().stream(true).stdin(true).stdout(true).stderr(true).build();
        let streams = deadline("attach", SLOW, self.client().await?.attach_container(id, Some(options))).await?;
        Ok(Attached { output: Output { frames: streams.output, aside: Box::new(stderr) }, input: streams.input })
    }
}
