//! The vectors of the catalog's own words. There are some hundred phrases, and requests use the same ones again and again.

use models::embedding::{Embedder, Error, normalize};
use std::{
    collections::HashMap,
    sync::{PoisonError, RwLock},
};

/// Made at once, so that a request that comes meanwhile waits little.
pub(crate) const BATCH: usize = 8;

/// By phrase of [`domain::text::catalog_words`].
#[derive(Default)]
pub(crate) struct Phrases(RwLock<HashMap<&'static str, Vec<f32>>>);

impl Phrases {
    /// Those that have no vector yet, each once.
    pub(crate) fn missing(&self, phrases: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut missing: Vec<_> = phrases.filter(|phrase| !known.contains_key(phrase)).collect();
        missing.sort_unstable();
        missing.dedup();
        missing
    }

    pub(crate) fn keep(&self, made: impl Iterator<Item = (&'static str, Vec<f32>)>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).extend(made);
    }

    /// Between the vectors of all of them, at length one; none of nothing.
    pub(crate) fn mean(&self, phrases: &[&'static str]) -> Option<Vec<f32>> {
        let known = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let mut sum: Option<Vec<f32>> = None;
        for vector in phrases.iter().filter_map(|phrase| known.get(phrase)) {
            match &mut sum {
                Some(sum) => sum.iter_mut().zip(vector).for_each(|(sum, value)| *sum += value),
                None => sum = Some(vector.clone()),
            }
        }
        let mut sum = sum?;
        normalize(&mut sum);
        Some(sum)
    }

    /// Makes all of them, little by little.
    pub(crate) async fn prepare(&self, embedder: &dyn Embedder) -> Result<(), Error> {
        for phrases in self.missing(domain::text::catalog_words()).chunks(BATCH) {
            let vectors = embedder.embed(phrases).await?;
            self.keep(phrases.iter().copied().zip(vectors));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_phrase_is_made_once_and_the_mean_has_length_one() {
        let phrases = Phrases::default();
        assert_eq!(phrases.missing(["b", "a", "b"].into_iter()), ["a", "b"]);
        phrases.keep([("a", vec![1.0, 0.0]), ("b", vec![0.0, 1.0])].into_iter());
        assert_eq!(phrases.missing(["b", "c"].into_iter()), ["c"]);
        assert_eq!(phrases.mean(&[]), None);
        assert_eq!(phrases.mean(&["a"]), Some(vec![1.0, 0.0]));
        let half = phrases.mean(&["a", "b"]).unwrap();
        assert!(half.iter().all(|value| (value - 0.5f32.sqrt()).abs() < 1e-6), "{half:?}");
    }
}
