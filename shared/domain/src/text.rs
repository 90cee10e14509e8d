//! Words of requests and of catalog entries: folding, stems, what people call things.
//!
//! Three lexicons stand beside this file as plain text: `products` (names that people use for products), `concepts` (what
//! people say, and what entries say for it) and `words` (other languages). They help; nothing depends on a line being there.

mod content;
mod dictionary;
mod fold;
mod lexicon;
mod repair;
mod translate;

pub use content::content;
pub(crate) use dictionary::knows;
pub use fold::{fold, stem, stems, words};
pub(crate) use lexicon::is_task_word;
pub use lexicon::{Concept, Product, catalog_words, concepts, concepts_in, products_in};
pub use repair::repair;
pub(crate) use translate::is_function_word;
pub use translate::{Translation, is_foreign, translate};

#[cfg(test)]
mod tests;
