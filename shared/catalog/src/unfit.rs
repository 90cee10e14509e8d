//! How near a request is to what no server does.

use models::embedding::{Embedder, Error};
use tokio::sync::OnceCell;

/// The vectors of [`domain::intent::unfit_examples`], made at the first request.
#[derive(Default)]
pub(crate) struct Unfit(OnceCell<Vec<Vec<f32>>>);

impl Unfit {
    /// The greatest cosine with an example.
    pub(crate) async fn nearness(&self, embedder: &dyn Embedder, vector: &[f32]) -> Result<f32, Error> {
        let examples =
            self.0.get_or_try_init(|| async { embedder.embed(&domain::intent::unfit_examples()).await }).await?;
        Ok(examples.iter().map(|example| cosine(example, vector)).fold(0.0, f32::max))
    }
}

pub(crate) fn cosine(a: &[f32], b: &[f32]) -> f32 {
    // Eight sums, so that the processor need not wait for one after the other.
    let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let mut sums = [0.0; 8];
    for (a, b) in a.iter().zip(b) {
        sums.iter_mut().zip(a.iter().zip(b)).for_each(|(sum, (a, b))| *sum += a * b);
    }
    sums.iter().sum()
}
