//! From what the words and the vector found to an order, a confidence and a reason.
//!
//! Pure: the same need and entries give the same order. The weights were chosen by measuring on labelled requests
//! (`shared/catalog/README.md` has the table).

mod confidence;
#[cfg(test)]
mod tests;
mod twins;
mod why;

use crate::{
    needs::Need,
    text::{stems, words},
};
use serde::Deserialize;
use std::collections::HashSet;

pub use confidence::ANSWERED;
use confidence::confidence;

/// A catalog entry as the search found it.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Entry {
    pub name: String,
    pub title: String,
    pub description: String,
    /// The description as its publisher wrote it, where the seed has words of its own.
    #[serde(default)]
    pub published: Option<String>,
    /// `npm:name`.
    #[serde(default)]
    pub package: Option<String>,
    #[serde(default)]
    pub repository: Option<String>,
    /// 0 to 1: how well known.
    pub known: f32,
    /// Somebody else's server, published again.
    pub fork: bool,
    pub verified: bool,
    pub deprecated: bool,
    /// It stands in our own seed.
    pub seeded: bool,
    /// Cosine with the need in the catalog's words; null while it has no vector.
    #[serde(default)]
    pub similarity: Option<f32>,
    /// Cosine with the need in its own words alone.
    #[serde(default)]
    pub own_similarity: Option<f32>,
    /// The share of the need's words that it has, 0 to 1, rare words counting more.
    pub words: f32,
}

impl Entry {
    /// What it says of itself, in the catalog's words and in its publisher's.
    pub fn descriptions(&self) -> impl Iterator<Item = &str> {
        [Some(self.description.as_str()), self.published.as_deref()].into_iter().flatten()
    }
}

/// An entry in its place.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    pub entry: Entry,
    /// Comparable within one need only.
    pub score: f32,
    /// The chance that it does what the need asks, 0 to 1.
    pub confidence: f32,
    pub why: String,
}

/// How an entry relates to the products that a need names.
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd)]
enum Naming {
    No,
    /// In its description.
    Mentioned,
    /// In its name: it is for this product.
    Named,
}

const WORDS: f32 = 0.35;
const NAMED: f32 = 0.25;
const MENTIONED: f32 = 0.15;
const KNOWN: f32 = 0.2;
const OFFICIAL: f32 = 0.08;
/// Our own seed says what such a server wants and how to get it.
const SEEDED: f32 = 0.16;
const FORK: f32 = 0.12;
const DOUBTFUL: f32 = 0.12;
/// What an entry without a vector yet gets for similarity, by the words that it shares.
const WITHOUT_VECTOR: f32 = 0.6;

/// Orders what was found for a need, twins collapsed, and gives the best `most`. `unfit` is how near the need is to what no
/// server does (cosine).
pub fn rank(need: &Need, found: Vec<Entry>, unfit: f32, most: usize) -> Vec<Ranked> {
    let products: Vec<(HashSet<String>, String)> = need
        .products
        .iter()
        .map(|product| (stems(&product.name).into_iter().collect(), words(&product.name).concat()))
        .collect();
    let mut scored: Vec<(f32, Naming, bool, Entry)> = found
        .into_iter()
        .map(|entry| {
            let naming = naming(&entry, &products);
            let official = is_official(&entry, &products);
            (score(&entry, naming, official), naming, official, entry)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.3.name.cmp(&b.3.name)));
    let best = scored.first().map_or(0.0, |first| first.0);
    let overall = confidence(need, scored.iter().take(10).map(|(_, naming, _, entry)| (entry, *naming)), unfit);
    let mut twins = twins::Twins::default();
    scored
        .into_iter()
        .filter(|(.., entry)| twins.is_new(entry))
        .take(most)
        .map(|(score, naming, official, entry)| Ranked {
            confidence: overall * (score / best.max(0.01)).clamp(0.05, 1.0),
            why: why::why(need, &entry, naming, official),
            score,
            entry,
        })
        .collect()
}

fn score(entry: &Entry, naming: Naming, official: bool) -> f32 {
    let similarity = entry.similarity.unwrap_or(WITHOUT_VECTOR * entry.words);
    // What is known is preferred among what fits, and never instead of it.
    let fits = 0.5 + 0.5 * ((similarity - 0.2) / 0.3).clamp(0.0, 1.0);
    let naming = match naming {
        Naming::Named => NAMED,
        Naming::Mentioned => MENTIONED,
        Naming::No => 0.0,
    };
    let flag = |set: bool, weight: f32| if set { weight } else { 0.0 };
    let close = ((similarity - 0.3) / 0.2).clamp(0.0, 1.0);
    similarity
        + WORDS * entry.words
        + naming
        + KNOWN * entry.known * fits
        + flag(official, OFFICIAL)
        + flag(entry.seeded, SEEDED * close)
        - flag(entry.fork, FORK)
        - flag(entry.deprecated || !entry.verified, DOUBTFUL)
}

fn naming(entry: &Entry, products: &[(HashSet<String>, String)]) -> Naming {
    if products.is_empty() {
        return Naming::No;
    }
    let last = entry.name.rsplit('/').next().unwrap_or_default();
    let label: HashSet<String> =
        stems(&format!("{} {} {}", entry.title, last, entry.package.as_deref().unwrap_or_default()))
            .into_iter()
            .collect();
    let description: HashSet<String> = stems(&entry.description).into_iter().collect();
    products
        .iter()
        .map(|(product, _)| {
            if product.is_subset(&label) {
                Naming::Named
            } else if product.iter().all(|word| label.contains(word) || description.contains(word)) {
                Naming::Mentioned
            } else {
                Naming::No
            }
        })
        .fold(Naming::No, |best, naming| if naming > best { naming } else { best })
}

/// Published under the product's own name: `io.github.makenotion/…`, `com.notion/…`.
fn is_official(entry: &Entry, products: &[(HashSet<String>, String)]) -> bool {
    // Names under `io.agentopia` were given by a catalog; no publisher claimed them.
    if products.is_empty() || entry.name.starts_with("io.agentopia.") {
        return false;
    }
    // Whoever has an account at GitHub is not GitHub.
    let publisher = entry.name.split('/').next().unwrap_or_default();
    let owner = words(publisher.strip_prefix("io.github.").unwrap_or(publisher)).concat();
    products.iter().any(|(_, compact)| compact.len() > 3 && owner.contains(compact))
}
