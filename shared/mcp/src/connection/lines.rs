//! A byte stream cut into lines of bounded length, without copying them.

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How much of a line that is too long is kept, to find out whose answer it was.
const HEAD: usize = 256;
const CHUNK: usize = 64 << 10;

pub(crate) enum Line {
    Whole(Bytes),
    /// The start of a line over the limit; the rest was thrown away.
    TooLong(Bytes),
}

pub(crate) struct Lines<R> {
    reader: R,
    buffer: BytesMut,
    /// Bytes of `buffer` in which there is no line break.
    searched: usize,
    /// The start of a line that is being thrown away.
    skipping: Option<Bytes>,
    max: usize,
}

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(reader: R, max: usize) -> Self {
        Self { reader, buffer: BytesMut::new(), searched: 0, skipping: None, max }
    }

    /// The next line without its break; `None` at the end of the stream. What comes after the last break is dropped:
    /// it is the torn end of a message.
    pub(crate) async fn next(&mut self) -> std::io::Result<Option<Line>> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer[self.searched..]) {
                let line = self.buffer.split_to(self.searched + at).freeze();
                self.buffer.advance(1);
                self.searched = 0;
                if line.len() > CHUNK && self.buffer.is_empty() {
                    // Otherwise the memory of the longest line would stay for the life of the connection.
                    self.buffer = BytesMut::new();
                }
                return Ok(Some(match self.skipping.take() {
                    Some(head) => Line::TooLong(head),
                    None if line.len() > self.max => Line::TooLong(line.slice(..HEAD)),
                    None => Line::Whole(line),
                }));
            }
            self.searched = self.buffer.len();
            if self.searched > self.max {
                let head = self.buffer.split_to(self.searched).freeze();
                self.skipping.get_or_insert_with(|| Bytes::copy_from_slice(&head[..HEAD.min(head.len())]));
                self.searched = 0;
            }
            if self.buffer.capacity() - self.buffer.len() < CHUNK / 4 {
                self.buffer.reserve(CHUNK.max(self.buffer.len()));
            }
            if self.reader.read_buf(&mut self.buffer).await? == 0 {
                return Ok(None);
            }
        }
    }
}
