//! How near a request is to the tasks that the lexicon knows, by what people say for them.

use crate::{
    nearest::nearest,
    phrases::{BATCH, Phrases},
};
use domain::text;
use models::embedding::{Embedder, Error};
use std::sync::OnceLock;

/// For each of [`text::concepts`] the vectors of what people and the catalog say for it; none until all are made.
#[derive(Default)]
pub(crate) struct Tasks(OnceLock<Vec<Vec<Vec<f32>>>>);

impl Tasks {
    /// The greatest cosine with each of them.
    pub(crate) fn nearness(&self, vector: &[f32]) -> Option<Vec<f32>> {
        Some(self.0.get()?.iter().map(|said| nearest(said, vector)).collect())
    }

    /// Makes all of them, little by little: some seconds of a processor. `phrases` has the catalog's words.
    pub(crate) async fn prepare(&self, embedder: &dyn Embedder, phrases: &Phrases) -> Result<(), Error> {
        if self.0.get().is_some() {
            return Ok(());
        }
        let mut tasks = Vec::with_capacity(text::concepts().len());
        for concept in text::concepts() {
            let mut vectors = Vec::from_iter(phrases.mean(&[concept.words.as_str()]));
            for some in concept.said.chunks(BATCH) {
                vectors.extend(embedder.embed(some).await?);
            }
            tasks.push(vectors);
        }
        // Another may have been quicker, with the same.
        let _ = self.0.set(tasks);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Puts every text on one axis, by its length.
    struct Lengths;

    #[async_trait::async_trait]
    impl Embedder for Lengths {
        async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, Error> {
            let axis = |text: &&str| (0..8).map(|at| f32::from(u8::from(text.len() % 8 == at))).collect();
            Ok(texts.iter().map(axis).collect())
        }

        fn name(&self) -> &str {
            "lengths"
        }
    }

    #[tokio::test]
    async fn a_task_is_as_near_as_the_nearest_of_what_is_said_for_it() {
        let tasks = Tasks::default();
        let vector = [1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
        assert_eq!(tasks.nearness(&vector), None, "nothing is made yet");
        let phrases = Phrases::default();
        phrases.prepare(&Lengths).await.unwrap();
        tasks.prepare(&Lengths, &phrases).await.unwrap();
        let nearness = tasks.nearness(&vector).unwrap();
        assert_eq!(nearness.len(), text::concepts().len());
        for (task, cosine) in text::concepts().iter().zip(nearness) {
            let on_axis = task.said.iter().chain([&task.words.as_str()]).any(|said| said.len() % 8 == 0);
            assert_eq!(cosine, f32::from(u8::from(on_axis)), "{}", task.words);
        }
    }
}
