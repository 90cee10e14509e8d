use crate::json::Refused;
use std::{io, time::Duration};

/// JSON-RPC and MCP error codes that we send.
pub mod code {
    pub const PARSE: i64 = -32700;
    pub const INVALID_REQUEST: i64 = -32600;
    pub const METHOD_NOT_FOUND: i64 = -32601;
    pub const INVALID_PARAMS: i64 = -32602;
    pub const INTERNAL: i64 = -32603;
    /// 2026-07-28: headers and body disagree.
    pub const HEADER_MISMATCH: i64 = -32020;
    /// 2026-07-28: the request's protocol version is not spoken here.
    pub const UNSUPPORTED_VERSION: i64 = -32022;
}

/// Why a server could not be spoken to.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the server is gone")]
    Closed,
    #[error("no answer within {0:?}")]
    TimedOut(Duration),
    #[error("a message of {size} bytes is over the limit of {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("the server's answer is not acceptable")]
    BadAnswer(#[source] Refused),
    #[error("error {code}: {message}")]
    Rpc { code: i64, message: String },
    #[error("this does not speak the Model Context Protocol: {0}")]
    NotMcp(String),
    #[error("a result is not what the protocol says")]
    Shape(#[from] serde_json::Error),
    #[error("the stream to the server failed")]
    Io(#[from] io::Error),
    #[cfg(feature = "client")]
    #[error("the gateway did not answer")]
    Http(#[from] reqwest::Error),
    #[cfg(feature = "client")]
    #[error("the gateway refused with status {status}: {detail}")]
    Status { status: u16, detail: String },
}
