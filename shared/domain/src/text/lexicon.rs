//! Products and concepts that a text names.

use super::fold::{stem, stems, words};
use crate::needs::VERBS;
use std::{
    collections::{HashMap, HashSet},
    sync::LazyLock,
};

/// A product as people name it.
#[derive(Debug, PartialEq, Eq)]
pub struct Product {
    pub name: String,
    /// Its name, and words that catalog entries for it also use.
    pub words: String,
}

/// A task in the words of the catalog.
#[derive(Debug, PartialEq, Eq)]
pub struct Concept {
    pub words: String,
    /// What people say for it.
    pub said: Vec<&'static str>,
    phrases: Vec<Vec<String>>,
}

struct Products {
    all: Vec<Product>,
    by_words: HashMap<Vec<String>, usize>,
}

struct Concepts {
    all: Vec<Concept>,
    by_first: HashMap<String, Vec<(usize, usize)>>,
}

static PRODUCTS: LazyLock<Products> = LazyLock::new(|| {
    let mut products = Products { all: Vec::new(), by_words: HashMap::new() };
    for line in lines(include_str!("products.txt")) {
        let (names, also) = line.split_once(" > ").unwrap_or((line, ""));
        let (name, others) = names.split_once(" = ").unwrap_or((names, ""));
        let index = products.all.len();
        products.all.push(Product { name: name.to_owned(), words: format!("{name} {also}").trim_end().to_owned() });
        for name in std::iter::once(name).chain(others.split(", ").filter(|other| !other.is_empty())) {
            products.by_words.insert(words(name), index);
        }
    }
    products
});

static CONCEPTS: LazyLock<Concepts> = LazyLock::new(|| {
    let mut concepts = Concepts { all: Vec::new(), by_first: HashMap::new() };
    for line in lines(include_str!("concepts.txt")) {
        let Some((words, phrases)) = line.split_once(" | ") else { continue };
        let (phrases, meant) = phrases.split_once(" | ").unwrap_or((phrases, ""));
        let said = phrases.split(';').chain(meant.split(';')).map(str::trim).filter(|said| !said.is_empty()).collect();
        let phrases: Vec<_> = phrases.split(';').map(stems).filter(|phrase| !phrase.is_empty()).collect();
        for (place, phrase) in phrases.iter().enumerate() {
            concepts.by_first.entry(phrase[0].clone()).or_default().push((concepts.all.len(), place));
        }
        concepts.all.push(Concept { words: words.to_owned(), said, phrases });
    }
    concepts
});

/// Every word of the product names, and every word and stem of the concepts: what a misspelt word may have meant.
pub(super) static PRODUCT_WORDS: LazyLock<HashSet<String>> =
    LazyLock::new(|| PRODUCTS.by_words.keys().flatten().filter(|word| word.len() >= 4).cloned().collect());
pub(super) static TASK_WORDS: LazyLock<HashSet<String>> = LazyLock::new(|| {
    // The verbs of requests are known as they stand.
    let verb = |word: &str| VERBS.contains(&stem(word).as_str());
    lines(include_str!("concepts.txt")).flat_map(words).filter(|word| word.len() >= 3 && !verb(word)).collect()
});

/// True for a word that people or the catalog use for a task.
pub(crate) fn is_task_word(word: &str) -> bool {
    TASK_WORDS.contains(word)
}

pub(super) fn lines(text: &'static str) -> impl Iterator<Item = &'static str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'))
}

/// All that a need can be put into the catalog's words with: a product's words, or a concept's.
pub fn catalog_words() -> impl Iterator<Item = &'static str> {
    let products = PRODUCTS.all.iter().map(|product| product.words.as_str());
    products.chain(CONCEPTS.all.iter().map(|concept| concept.words.as_str()))
}

/// Every task that the lexicon knows.
pub fn concepts() -> &'static [Concept] {
    &CONCEPTS.all
}

/// Products that the words name, in order, each once; the longest name wins.
pub fn products_in(words: &[String]) -> Vec<&'static Product> {
    let mut found: Vec<&'static Product> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let named = (1..=4.min(words.len() - at))
            .rev()
            .find_map(|length| Some((length, *PRODUCTS.by_words.get(&words[at..at + length])?)));
        match named {
            Some((length, index)) => {
                let product = &PRODUCTS.all[index];
                if !found.iter().any(|other| other.name == product.name) {
                    found.push(product);
                }
                at += length;
            }
            None => at += 1,
        }
    }
    found
}

/// Concepts that the words speak of, the one with the longest phrase first.
pub fn concepts_in(words: &[String]) -> Vec<&'static Concept> {
    let stems: Vec<String> = words.iter().map(|word| stem(word)).collect();
    let mut weights: HashMap<usize, (usize, usize)> = HashMap::new();
    for (at, first) in stems.iter().enumerate() {
        for &(concept, place) in CONCEPTS.by_first.get(first).into_iter().flatten() {
            let phrase = &CONCEPTS.all[concept].phrases[place];
            if stems[at..].starts_with(phrase) {
                let weight = (phrase.len(), phrase.iter().map(String::len).sum());
                let best = weights.entry(concept).or_default();
                *best = (*best).max(weight);
            }
        }
    }
    let mut found: Vec<_> = weights.into_iter().collect();
    found.sort_by_key(|&(concept, weight)| (std::cmp::Reverse(weight), concept));
    found.into_iter().map(|(concept, _)| &CONCEPTS.all[concept]).collect()
}
