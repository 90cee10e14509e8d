//! all-MiniLM-L6-v2 in the process: no network, no account.

use super::{
    DIMENSIONS, Embedder, Error,
    bert::{Bert, Config},
};
use async_trait::async_trait;
use std::{
    fs,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};
use tokenizers::{Tokenizer, TruncationParams};

/// Tokens of one text that are read. Requests and entries have about 25.
const MOST_TOKENS: usize = 96;
/// Tokens computed at once: enough to use the processor well, few enough to stay in its cache.
const BATCH_TOKENS: usize = 240;
/// With no more, reading the weights is what takes the time: two processors read half of them each, instead of all twice.
const FEW_TOKENS: usize = 96;

/// The model, loaded once; 90 MB. Cheap to clone.
#[derive(Clone)]
pub struct MiniLm(Arc<Inner>);

struct Inner {
    model: Bert,
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
        let max_length = MOST_TOKENS.min(config.max_position_embeddings);
        let truncation = TruncationParams { max_length, ..TruncationParams::default() };
        tokenizer.with_padding(None).with_truncation(Some(truncation)).map_err(|e| wrong(e.to_string()))?;
        let model = Bert::load(&config, &read("model.safetensors")?, folder)?;
        Ok(Self(Arc::new(Inner { model, tokenizer })))
    }
}

#[async_trait]
impl Embedder for MiniLm {
    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let inner = self.0.clone();
        tokio::task::spawn_blocking(move || inner.embed(&texts))
            .await
            .map_err(|panicked| Error::Compute(Box::new(panicked)))?
    }

    fn name(&self) -> &str {
        "all-MiniLM-L6-v2"
    }
}

impl Inner {
    fn embed(&self, texts: &[String]) -> Result<Vec<Vec<f32>>, Error> {
        let tokens = texts
            .iter()
            .map(|text| Ok(self.tokenizer.encode_fast(text.as_str(), true)?.get_ids().to_vec()))
            .collect::<Result<Vec<Vec<u32>>, tokenizers::Error>>()
            .map_err(Error::Compute)?;
        let cores = thread::available_parallelism().map_or(1, usize::from);
        if tokens.iter().map(Vec::len).sum::<usize>() <= FEW_TOKENS {
            let texts: Vec<&[u32]> = tokens.iter().map(Vec::as_slice).collect();
            return Ok(rayon::scope(|_| self.model.embed(&texts, cores > 1)));
        }
        let batches = batches(&tokens, cores);
        let next = AtomicUsize::new(0);
        let done: Mutex<Vec<(usize, Vec<Vec<f32>>)>> = Mutex::new(Vec::with_capacity(batches.len()));
        let work = || {
            while let Some(batch) = batches.get(next.fetch_add(1, Ordering::Relaxed)) {
                let vectors = self.model.embed(&batch.1, false);
                done.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push((batch.0, vectors));
            }
        };
        thread::scope(|scope| {
            // This thread works too.
            (1..cores.min(batches.len())).for_each(|_| drop(scope.spawn(work)));
            work();
        });
        let mut done = done.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        done.sort_unstable_by_key(|(at, _)| *at);
        Ok(done.into_iter().flat_map(|(_, vectors)| vectors).collect())
    }
}

/// The texts in groups of at most [`BATCH_TOKENS`], and of no more than a core's share; each with its number.
fn batches(tokens: &[Vec<u32>], cores: usize) -> Vec<(usize, Vec<&[u32]>)> {
    let all: usize = tokens.iter().map(Vec::len).sum();
    let share = all.div_ceil(cores).clamp(1, BATCH_TOKENS);
    let mut batches: Vec<(usize, Vec<&[u32]>)> = Vec::new();
    let mut filled = usize::MAX;
    for text in tokens {
        if filled >= share {
            batches.push((batches.len(), Vec::new()));
            filled = 0;
        }
        filled += text.len();
        if let Some(last) = batches.last_mut() {
            last.1.push(text);
        }
    }
    batches
}
