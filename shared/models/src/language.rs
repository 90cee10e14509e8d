//! Language models over the two wire formats that nearly every endpoint speaks: OpenAI's chat completions and
//! Anthropic's messages; streaming, with tool calls.
//!
//! Configuration, read once by [`Config::from_env`]:
//!
//! | variable | is |
//! |---|---|
//! | `AGENTOPIA_MODEL_URL` | the endpoint's base address, with or without `/v1` |
//! | `AGENTOPIA_MODEL_KEY` | its key; an endpoint on this machine may need none |
//! | `AGENTOPIA_MODEL` | the model's name |
//! | `AGENTOPIA_MODEL_WIRE` | `openai` or `anthropic`; worked out from the others when absent |
//! | `ANTHROPIC_API_KEY`, `OPENAI_API_KEY` | a key for that company's own endpoint, when no address is given |

mod config;
mod genai;
#[cfg(test)]
mod tests;

pub use self::config::{Config, Wire};
pub use self::genai::Remote;

use async_trait::async_trait;
use serde_json::Value;
use std::{sync::Arc, time::Duration};

/// The variables that turn a language model on, in words for a refusal.
pub const HOW_TO_CONFIGURE: &str = "Set AGENTOPIA_MODEL_URL, AGENTOPIA_MODEL_KEY and AGENTOPIA_MODEL, or ANTHROPIC_API_KEY \
     or OPENAI_API_KEY, and start again.";

#[async_trait]
pub trait Language: Send + Sync {
    /// The model's name.
    fn name(&self) -> &str;

    /// One answer. Its text is also given to `delta` piece by piece, as it comes.
    async fn respond(&self, request: &Request, delta: &mut (dyn for<'a> FnMut(&'a str) + Send))
    -> Result<Reply, Error>;
}

/// The model that the environment configures, or none.
pub fn from_env(read: impl Fn(&str) -> Option<String>) -> Result<Option<Arc<dyn Language>>, Error> {
    Ok(Config::from_env(read)?.map(|config| Arc::new(Remote::new(config)) as Arc<dyn Language>))
}

#[derive(Clone, Debug, Default)]
pub struct Request {
    pub system: String,
    pub messages: Vec<Message>,
    pub tools: Vec<ToolDefinition>,
    /// Of the answer.
    pub max_tokens: u32,
    /// For the whole answer.
    pub timeout: Duration,
}

#[derive(Clone, Debug)]
pub enum Message {
    User(String),
    Assistant {
        text: String,
        calls: Vec<Call>,
    },
    /// The result of a call of the assistant's message before.
    Result {
        call_id: String,
        name: String,
        content: String,
    },
}

/// A tool as the model is told of it. Its name is `[a-zA-Z0-9_-]{1,64}`.
#[derive(Clone, Debug)]
pub struct ToolDefinition {
    pub name: String,
    pub description: String,
    /// JSON Schema of the arguments.
    pub schema: Value,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Call {
    pub id: String,
    pub name: String,
    /// As the model wrote them: an object, or a string when it wrote no valid JSON.
    pub arguments: Value,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply {
    pub text: String,
    pub calls: Vec<Call>,
    pub usage: Usage,
    /// True when the answer was cut off at `max_tokens`.
    pub cut: bool,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Usage {
    pub input: u64,
    pub output: u64,
}

/// Messages say what happened and never repeat a prompt, an answer or a key.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{0}")]
    Configuration(String),
    #[error("the language model's endpoint does not answer")]
    Unreachable,
    #[error("the language model refused with status {0}")]
    Refused(u16),
    #[error("the language model did not finish in time")]
    TimedOut,
    #[error("the language model's answer could not be read")]
    Malformed,
}

impl Error {
    /// What to do, in one sentence.
    pub fn fix(&self) -> &'static str {
        match self {
            Self::Configuration(_) => HOW_TO_CONFIGURE,
            Self::Unreachable => "Check AGENTOPIA_MODEL_URL, and that the endpoint is up.",
            Self::Refused(401 | 403) => {
                "Check the model's key: AGENTOPIA_MODEL_KEY, ANTHROPIC_API_KEY or OPENAI_API_KEY."
            }
            Self::Refused(404) => {
                "Check AGENTOPIA_MODEL_URL and AGENTOPIA_MODEL: the endpoint does not know one of them."
            }
            Self::Refused(429) => "Wait a little; the endpoint limits how often it is asked.",
            Self::Refused(_) | Self::Malformed => "Try again; if it stays, look at the endpoint's own log.",
            Self::TimedOut => "Try again, or choose a faster model with AGENTOPIA_MODEL.",
        }
    }
}
