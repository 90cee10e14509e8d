//! Texts to vectors, in the process or by an OpenAI-compatible endpoint.
//!
//! Configuration, read once by [`from_env`]:
//!
//! | variable | is |
//! |---|---|
//! | `AGENTOPIA_MODEL_DIR` | the folder with `model.safetensors`, `tokenizer.json` and `config.json` |
//! | `AGENTOPIA_EMBEDDING_URL` | an endpoint's base address, with or without `/v1`, to use instead of the folder |
//! | `AGENTOPIA_EMBEDDING_KEY` | its key, where it needs one |
//! | `AGENTOPIA_EMBEDDING_MODEL` | its model's name; `text-embedding-3-small` when absent |

mod bert;
mod config;
mod minilm;
mod openai;

pub use config::from_env;
pub use minilm::MiniLm;
pub use openai::OpenAi;

use async_trait::async_trait;

/// Length of every vector: what the database's column has.
pub const DIMENSIONS: usize = 384;

#[async_trait]
pub trait Embedder: Send + Sync {
    /// A unit vector for each text, in their order.
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error>;

    fn dimensions(&self) -> usize {
        DIMENSIONS
    }

    /// Vectors of different models cannot be compared: stored vectors carry this name.
    fn name(&self) -> &str;
}

/// What an embedding fails with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the embedding model's file {0} cannot be read")]
    File(std::path::PathBuf, #[source] std::io::Error),
    #[error("the embedding model in {0} is not one that we can run: {1}")]
    Model(std::path::PathBuf, String),
    #[error("set AGENTOPIA_MODEL_DIR to the folder of the embedding model, or AGENTOPIA_EMBEDDING_URL to an endpoint")]
    NotConfigured,
    #[error("the embedding endpoint does not answer")]
    Unreachable(#[source] reqwest::Error),
    #[error("the embedding endpoint answered {status}: {detail}")]
    Refused { status: u16, detail: String },
    #[error("the embedding endpoint's answer makes no sense: {0}")]
    Answer(String),
    #[error("the embedding could not be computed")]
    Compute(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Scales to length one; a vector of nothing stays nothing.
pub fn normalize(vector: &mut [f32]) {
    let length = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|x| *x /= length);
    }
}
