//! How near a request is to what no server does.

use crate::nearest::nearest;
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
        Ok(nearest(examples, vector))
    }
}
