//! all-MiniLM-L6-v2 in the process: no network, no account.

use super::{DIMENSIONS, Embedder, Error, normalize};
use async_trait::async_trait;
use candle_core::{DType, Device, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::bert::{BertModel, Config};
use std::{fs, path::Path, sync::Arc};
use tokenizers::{Tokenizer, TruncationParams};

/// Tokens of one text that are read. Requests and entries have about 25.
const MOST_TOKENS: usize = 96;
/// Texts computed at once: enough to keep the cores busy, few enough that a search in between does not wait long.
const BATCH: usize = 32;

/// The model, loaded once; 90 MB. Cheap to clone.
#[derive(Clone)]
pub struct MiniLm(Arc<Inner>);

struct Inner {
    model: BertModel,
    tokenizer: Tokenizer,
}

impl MiniLm {
    /// Reads `model.safetensors`, `tokenizer.json` and `config.json`. Takes about 0.2 s.
    pub fn load(folder: &Path) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = folder.join(name);
            fs::read(&path).map_err(|source| Error::File(path, source))
        };
        let wrong = |why: String| Error::Model(folder.to_owned(), why);
        let config: Config = serde_json::from_slice(&read("config.json")?).map_err(|e| wrong(e.to_string()))?;
        if config.hidden_size != DIMENSIONS {
            return Err(wrong(format!("its vectors have {} dimensions instead of {DIMENSIONS}", config.hidden_size)));
        }
        let mut tokenizer = Tokenizer::from_bytes(read("tokenizer.json")?).map_err(|e| wrong(e.to_string()))?;
        let truncation = TruncationParams { max_length: MOST_TOKENS, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(|e| wrong(e.to_string()))?;
        let weights = VarBuilder::from_buffered_safetensors(read("model.safetensors")?, DType::F32, &Device::Cpu);
        let model = weights.and_then(|weights| BertModel::load(weights, &config)).map_err(|e| wrong(e.to_string()))?;
        Ok(Self(Arc::new(Inner { model, tokenizer })))
    }
}

#[async_trait]
impl Embedder for MiniLm {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.embed(&texts)).await.map_err(|panicked| Error::Compute(Box::new(panicked)))?
    }

    fn name(&self) -> &str {
        "all-MiniLM-L6-v2"
    }
}

impl Inner {
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let mut tokens = texts
            .iter()
            .enumerate()
            .map(|(at, text)| Ok((at, self.tokenizer.encode_fast(text.as_str(), true)?.get_ids().to_vec())))
            .collect::<Result<Vec<(usize, Vec<u32>)>, tokenizers::Error>>()
            .map_err(Error::Compute)?;
        // Texts of one length share a batch: little is padded.
        tokens.sort_by_key(|(_, ids)| ids.len());
        let mut vectors = vec![Vec::new(); texts.len()];
        for batch in tokens.chunks(BATCH) {
            let computed = self.forward(batch).map_err(|e| Error::Compute(Box::new(e)))?;
            for ((at, _), vector) in batch.iter().zip(computed) {
                vectors[*at] = vector;
            }
        }
        Ok(vectors)
    }

    /// The mean over each text's tokens, at length one.
    fn forward(&self, batch: &[(usize, Vec<u32>)]) -> candle_core::Result<Vec<Vec<f32>>> {
        let width = batch.iter().map(|(_, ids)| ids.len()).max().unwrap_or(0).max(1);
        let ragged = batch.iter().any(|(_, ids)| ids.len() != width);
        let padded: Vec<u32> =
            batch.iter().flat_map(|(_, ids)| ids.iter().copied().chain(std::iter::repeat_n(0, width - ids.len()))).collect();
        let ids = Tensor::from_vec(padded, (batch.len(), width), &Device::Cpu)?;
        let kinds = ids.zeros_like()?;
        let ones: Vec<f32> = batch
            .iter()
            .flat_map(|(_, ids)| std::iter::repeat_n(1.0, ids.len()).chain(std::iter::repeat_n(0.0, width - ids.len())))
            .collect();
        let mask = Tensor::from_vec(ones, (batch.len(), width), &Device::Cpu)?;
        let states = self.model.forward(&ids, &kinds, ragged.then_some(&mask))?;
        let sums = if ragged { states.broadcast_mul(&mask.unsqueeze(2)?)?.sum(1)? } else { states.sum(1)? };
        let mut vectors = sums.to_vec2::<f32>()?;
        vectors.iter_mut().for_each(|vector| normalize(vector));
        Ok(vectors)
    }
}
