//! Which words are English words, so that a correct one is never "repaired".

use super::fold::stem;
use std::{collections::HashSet, sync::LazyLock};

static ENGLISH: LazyLock<HashSet<&'static str>> =
    LazyLock::new(|| include_str!("english.txt").split_whitespace().collect());

pub(crate) fn knows(word: &str) -> bool {
    ENGLISH.contains(word) || ENGLISH.contains(stem(word).as_str())
}
