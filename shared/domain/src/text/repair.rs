//! Misspelt words, set right where one product or task word is clearly meant.

use super::{
    dictionary,
    fold::fold,
    lexicon::{PRODUCT_WORDS, TASK_WORDS},
};
use crate::needs::VERBS;

/// The text with its misspelt words repaired. Correct English words and words that resemble nothing stay.
pub fn repair(text: &str) -> String {
    let mut repaired = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let inside = rest.starts_with(char::is_alphanumeric);
        let end = rest.find(|c: char| c.is_alphanumeric() != inside).unwrap_or(rest.len());
        let (token, tail) = rest.split_at(end);
        match inside.then(|| meant(&fold(token))).flatten() {
            Some(word) => repaired.push_str(word),
            None => repaired.push_str(token),
        }
        rest = tail;
    }
    repaired
}

/// The word that a misspelt one stands for.
fn meant(word: &str) -> Option<&'static str> {
    let spelt = word.len() < 4 || word.len() > 24 || !word.bytes().all(|b| b.is_ascii_lowercase());
    if spelt || dictionary::knows(word) || PRODUCT_WORDS.contains(word) || TASK_WORDS.contains(word) {
        return None;
    }
    let allowed = if word.len() <= 4 { 1 } else { 2 };
    let products = PRODUCT_WORDS.iter().map(|other| (other.as_str(), 0));
    let tasks = TASK_WORDS.iter().map(String::as_str).chain(VERBS).map(|other| (other, 1));
    products
        .chain(tasks)
        .filter(|(other, _)| {
            other.as_bytes().first() == word.as_bytes().first() && other.len().abs_diff(word.len()) <= allowed
        })
        .filter_map(|(other, rank)| {
            let distance = distance(word.as_bytes(), other.as_bytes());
            (distance <= allowed && distance * 3 < word.len()).then(|| {
                // A letter that stands once instead of twice is the commonest slip.
                let slip = once(word) == once(other);
                (distance, !slip, rank, other.len().abs_diff(word.len()), other)
            })
        })
        .min()
        .map(|(.., other)| other)
}

/// The word with its doubled letters written once.
fn once(word: &str) -> Vec<u8> {
    let mut letters = word.as_bytes().to_vec();
    letters.dedup();
    letters
}

/// Edits between two words; swapping neighbours is one.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut before = vec![0; b.len() + 1];
    let mut last: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            row[j] = (last[j] + 1).min(row[j - 1] + 1).min(last[j - 1] + usize::from(a[i - 1] != b[j - 1]));
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut last, row);
    }
    last[b.len()]
}
