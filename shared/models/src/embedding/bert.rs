//! The forward pass of a small BERT, on the processor.
//!
//! Texts of a batch are laid end to end, so nothing is padded and the large products run over all their tokens at once;
//! only attention looks at each text by itself. Weights are laid out for the product once, when they are loaded.

mod functions;
mod linear;

use super::{Error, normalize};
use functions::{gelu, layer_norm, softmax};
use linear::{Linear, Scratch};
use safetensors::{Dtype, SafeTensors};
use serde::Deserialize;
use std::path::Path;

/// `config.json`, as far as it matters here.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Config {
    pub(super) hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    pub(super) max_position_embeddings: usize,
    vocab_size: usize,
    layer_norm_eps: f32,
    hidden_act: String,
}

pub(super) struct Bert {
    size: usize,
    heads: usize,
    epsilon: f32,
    words: Vec<f32>,
    /// Position and (constant) kind together.
    places: Vec<f32>,
    norm: Norm,
    layers: Vec<Layer>,
}

struct Norm {
    weight: Vec<f32>,
    bias: Vec<f32>,
}

struct Layer {
    /// Query, key and value in one product.
    attention: Linear,
    joined: Linear,
    attention_norm: Norm,
    wide: Linear,
    narrow: Linear,
    norm: Norm,
}

impl Bert {
    pub(super) fn load(config: &Config, file: &[u8], folder: &Path) -> Result<Self, Error> {
        let wrong = |why: String| Error::Model(folder.to_owned(), why);
        if config.hidden_act != "gelu"
            || config.num_attention_heads == 0
            || !config.hidden_size.is_multiple_of(config.num_attention_heads)
        {
            return Err(wrong("its config.json describes another kind of model".to_owned()));
        }
        let tensors = SafeTensors::deserialize(file).map_err(|e| wrong(e.to_string()))?;
        let read = |name: &str, length: usize| -> Result<Vec<f32>, Error> {
            let tensor = tensors.tensor(name).map_err(|e| wrong(e.to_string()))?;
            let values: Vec<f32> =
                tensor.data().chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            if tensor.dtype() != Dtype::F32 || values.len() != length {
                return Err(wrong(format!("{name} has another shape")));
            }
            Ok(values)
        };
        let (size, wide) = (config.hidden_size, config.intermediate_size);
        let norm = |name: &str| {
            Ok::<_, Error>(Norm {
                weight: read(&format!("{name}.weight"), size)?,
                bias: read(&format!("{name}.bias"), size)?,
            })
        };
        let linear = |names: &[String], inputs: usize, outputs: usize| {
            let mut weights = Vec::with_capacity(names.len() * inputs * outputs);
            let mut bias = Vec::with_capacity(names.len() * outputs);
            for name in names {
                weights.extend(read(&format!("{name}.weight"), inputs * outputs)?);
                bias.extend(read(&format!("{name}.bias"), outputs)?);
            }
            Ok::<_, Error>(Linear::new(&weights, bias, inputs))
        };
        let kind = read("embeddings.token_type_embeddings.weight", 2 * size)?;
        let mut places = read("embeddings.position_embeddings.weight", config.max_position_embeddings * size)?;
        places
            .chunks_exact_mut(size)
            .for_each(|place| place.iter_mut().zip(&kind).for_each(|(place, kind)| *place += kind));
        let layers = (0..config.num_hidden_layers)
            .map(|at| {
                let at = format!("encoder.layer.{at}");
                let own = ["query", "key", "value"].map(|part| format!("{at}.attention.self.{part}"));
                Ok(Layer {
                    attention: linear(&own, size, size)?,
                    joined: linear(&[format!("{at}.attention.output.dense")], size, size)?,
                    attention_norm: norm(&format!("{at}.attention.output.LayerNorm"))?,
                    wide: linear(&[format!("{at}.intermediate.dense")], size, wide)?,
                    narrow: linear(&[format!("{at}.output.dense")], wide, size)?,
                    norm: norm(&format!("{at}.output.LayerNorm"))?,
                })
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            size,
            heads: config.num_attention_heads,
            epsilon: config.layer_norm_eps,
            words: read("embeddings.word_embeddings.weight", config.vocab_size * size)?,
            places,
            norm: norm("embeddings.LayerNorm")?,
            layers,
        })
    }

    /// For each text the mean over its tokens, at length one. `halved`: see [`Linear::apply`].
    pub(super) fn embed(&self, texts: &[&[u32]], halved: bool) -> Vec<Vec<f32>> {
        let size = self.size;
        let tokens: usize = texts.iter().map(|text| text.len()).sum();
        let mut states = Vec::with_capacity(tokens * size);
        for text in texts {
            for (token, place) in text.iter().zip(self.places.chunks_exact(size)) {
                let word = self.words.chunks_exact(size).nth(*token as usize).unwrap_or(&self.words[..size]);
                states.extend(word.iter().zip(place).map(|(word, place)| word + place));
            }
        }
        layer_norm(&mut states, &self.norm.weight, &self.norm.bias, self.epsilon);
        let mut scratch = Scratch::default();
        for layer in &self.layers {
            let own = layer.attention.apply(&states, &mut scratch, halved);
            let mut seen = vec![0.0; states.len()];
            let mut start = 0;
            for text in texts {
                let end = start + text.len();
                self.attend(&own[start * 3 * size..end * 3 * size], &mut seen[start * size..end * size]);
                start = end;
            }
            add(&mut states, &layer.joined.apply(&seen, &mut scratch, halved));
            layer_norm(&mut states, &layer.attention_norm.weight, &layer.attention_norm.bias, self.epsilon);
            let wide = layer.wide.apply_then(&states, &mut scratch, halved, gelu);
            add(&mut states, &layer.narrow.apply(&wide, &mut scratch, halved));
            layer_norm(&mut states, &layer.norm.weight, &layer.norm.bias, self.epsilon);
        }
        let mut rest = states.as_slice();
        texts
            .iter()
            .map(|text| {
                let (own, more) = rest.split_at(text.len() * size);
                rest = more;
                let mut mean = vec![0.0; size];
                own.chunks_exact(size).for_each(|state| add(&mut mean, state));
                normalize(&mut mean);
                mean
            })
            .collect()
    }

    /// One text's attention: `own` has query, key and value of each token side by side.
    fn attend(&self, own: &[f32], seen: &mut [f32]) {
        let (size, width) = (self.size, self.size / self.heads);
        let tokens = seen.len() / size;
        let scale = 1.0 / (width as f32).sqrt();
        let mut scores = vec![0.0; tokens];
        for head in (0..size).step_by(width) {
            let part = |token: usize, which: usize| &own[(token * 3 + which) * size + head..][..width];
            for token in 0..tokens {
                let query = part(token, 0);
                for (other, score) in scores.iter_mut().enumerate() {
                    *score = scale * dot(query, part(other, 1));
                }
                softmax(&mut scores);
                let out = &mut seen[token * size + head..][..width];
                for (other, score) in scores.iter().enumerate() {
                    out.iter_mut().zip(part(other, 2)).for_each(|(out, value)| *out += score * value);
                }
            }
        }
    }
}

fn add(to: &mut [f32], what: &[f32]) {
    to.iter_mut().zip(what).for_each(|(to, what)| *to += what);
}

/// In eight lanes, so that the compiler may use them.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for lane in 0..8 {
            sums[lane] += a[lane] * b[lane];
        }
    }
    let rest: f32 = a.chunks_exact(8).remainder().iter().zip(b.chunks_exact(8).remainder()).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}
