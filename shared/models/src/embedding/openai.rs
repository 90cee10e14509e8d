//! An endpoint that speaks OpenAI's embeddings API, asked for our number of dimensions.

use super::{DIMENSIONS, Embedder, Error, normalize};
use async_trait::async_trait;
use protocol::chat::Secret;
use serde::Deserialize;
use serde_json::json;
use std::time::Duration;

/// Texts in one request.
const BATCH: usize = 128;
/// Bytes of an answer that are read: 128 vectors as text are under 2 MB.
const LARGEST: usize = 16 * 1024 * 1024;

pub struct OpenAi {
    client: reqwest::Client,
    url: String,
    model: String,
    key: Option<Secret>,
    name: String,
}

#[derive(Deserialize)]
struct Answer {
    data: Vec<Item>,
}

#[derive(Deserialize)]
struct Item {
    index: usize,
    embedding: Vec<f32>,
}

impl OpenAi {
    /// `url` is the base address, with or without `/v1`.
    pub fn new(url: &str, model: &str, key: Option<Secret>) -> Result<Self, Error> {
        let base = url.trim_end_matches('/');
        let base = base.strip_suffix("/v1").unwrap_or(base);
        let client = reqwest::Client::builder()
            .timeout(Duration::from_secs(30))
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(Error::Unreachable)?;
        Ok(Self {
            client,
            url: format!("{base}/v1/embeddings"),
            model: model.to_owned(),
            key,
            name: format!("{model}@{DIMENSIONS}"),
        })
    }

    async fn request(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let body = json!({"model": self.model, "input": texts, "dimensions": DIMENSIONS, "encoding_format": "float"});
        let mut request = self.client.post(&self.url).json(&body);
        if let Some(key) = &self.key {
            request = request.bearer_auth(key.expose());
        }
        let mut response = request.send().await.map_err(Error::Unreachable)?;
        let status = response.status();
        let mut bytes = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(Error::Unreachable)? {
            if bytes.len() + chunk.len() > LARGEST {
                return Err(Error::Answer(format!("it is larger than {LARGEST} bytes")));
            }
            bytes.extend_from_slice(&chunk);
        }
        if !status.is_success() {
            let detail = String::from_utf8_lossy(&bytes).chars().take(200).collect();
            return Err(Error::Refused { status: status.as_u16(), detail });
        }
        let answer: Answer = serde_json::from_slice(&bytes).map_err(|e| Error::Answer(e.to_string()))?;
        let mut vectors = vec![Vec::new(); texts.len()];
        for item in answer.data {
            match vectors.get_mut(item.index) {
                Some(place) if item.embedding.len() == DIMENSIONS => *place = item.embedding,
                Some(_) => return Err(Error::Answer(format!("a vector has {} dimensions", item.embedding.len()))),
                None => return Err(Error::Answer("it has a vector for a text that was not sent".to_owned())),
            }
        }
        if vectors.iter().any(Vec::is_empty) {
            return Err(Error::Answer("a vector is missing".to_owned()));
        }
        vectors.iter_mut().for_each(|vector| normalize(vector));
        Ok(vectors)
    }
}

#[async_trait]
impl Embedder for OpenAi {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in texts.chunks(BATCH) {
            vectors.extend(self.request(batch).await?);
        }
        Ok(vectors)
    }

    fn name(&self) -> &str {
        &self.name
    }
}
