//! What a search fails with.

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the catalog's database failed")]
    Database(#[from] database::Error),
    #[error("the embedding failed")]
    Embedding(#[from] models::embedding::Error),
}
