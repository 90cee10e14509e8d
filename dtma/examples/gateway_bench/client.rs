//! The least of an HTTP client: one kept connection, one request at a time, so that what is measured is the gateway.

use super::Failure;
use serde_json::json;
use std::net::SocketAddr;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

pub(super) struct Http {
    stream: TcpStream,
    buffer: Vec<u8>,
}

/// A call of `echo` in the stateless form, head and body.
pub(super) fn request(token: &str, text: &str) -> Vec<u8> {
    let body = json!({"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": {
        "name": "echo__echo", "arguments": {"text": text},
        "_meta": {"io.modelcontextprotocol/protocolVersion": "2026-07-28",
                  "io.modelcontextprotocol/clientCapabilities": {}}}})
    .to_string();
    format!(
        "POST /mcp HTTP/1.1\r\nhost: 127.0.0.1\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\n\
         mcp-name: echo__echo\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

impl Http {
    pub(super) async fn connect(address: SocketAddr) -> Result<Self, Failure> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: Vec::with_capacity(1 << 17) })
    }

    /// Sends a request and reads its answer, which must carry the text.
    pub(super) async fn call(&mut self, request: &[u8], text: &str) -> Result<(), Failure> {
        self.stream.write_all(request).await?;
        self.buffer.clear();
        let (head, length) = loop {
            if let Some(found) = head(&self.buffer)? {
                break found;
            }
            self.read().await?;
        };
        while self.buffer.len() < head + length {
            self.read().await?;
        }
        let body = std::str::from_utf8(&self.buffer[head..head + length])?;
        if self.buffer.starts_with(b"HTTP/1.1 200") && length > text.len() && body.contains("\"content\"") {
            return Ok(());
        }
        Err(format!("not the answer: {}", body.get(..300).unwrap_or(body)).into())
    }

    async fn read(&mut self) -> Result<(), Failure> {
        if self.stream.read_buf(&mut self.buffer).await? == 0 {
            return Err("the gateway closed the connection".into());
        }
        Ok(())
    }
}

/// Where the body starts and how long it is, once the head is there.
fn head(buffer: &[u8]) -> Result<Option<(usize, usize)>, Failure> {
    let Some(end) = buffer.windows(4).position(|four| four == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&buffer[..end])?.to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length:")).ok_or("no content-length")?;
    Ok(Some((end + 4, length.trim().parse()?)))
}
