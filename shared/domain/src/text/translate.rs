//! Requests in other languages: a small dictionary of the words that tasks are made of.
//!
//! The embedding model reads English. A word-by-word gloss is poor prose and a good query.

use super::{
    dictionary,
    fold::{fold, words},
    lexicon::lines,
};
use std::{collections::HashMap, sync::LazyLock};

/// What is understood of a text in another language.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Translation {
    /// English words, one item for each word understood, in the order of the text.
    pub glosses: Vec<&'static str>,
}

/// Small words of other languages that English does not have.
const FUNCTION_WORDS: &str = "ich mochte meine meinen mein mir die der das dem den im und wie wird ist ein eine einen auf fur von zu nach bitte hinter \
    dir es les des une mon mes ma dans le la du je veux pour quel quelle est mi mis el los las una un quiero por que \
    del como en al meu minha os um uma para quero no na il lo gli di della voglio per con het mijn ik wil van voor met de och jag min \
    aus uber wenn mit meiner einer unseren sur avec sont cherche suche zeige";

/// Words that are in English requests only.
const ENGLISH: [&str; 8] = ["the", "my", "is", "and", "for", "our", "with", "how"];

/// True for a small word of another language; some of them are also names of products ("über").
pub(crate) fn is_function_word(word: &str) -> bool {
    FUNCTION_WORDS.split_whitespace().any(|other| other == word)
}

struct Dictionary {
    /// Words of alphabetic scripts, by their first word.
    spaced: HashMap<String, Vec<(Vec<String>, &'static str)>>,
    /// Words of scripts without spaces, longest first.
    unspaced: Vec<(String, &'static str)>,
}

static DICTIONARY: LazyLock<Dictionary> = LazyLock::new(|| {
    let mut dictionary = Dictionary { spaced: HashMap::new(), unspaced: Vec::new() };
    for line in lines(include_str!("words.txt")) {
        let Some((english, others)) = line.split_once(": ") else { continue };
        for other in others.split_whitespace() {
            let other = other.replace('_', " ");
            if other.chars().any(is_unspaced) {
                dictionary.unspaced.push((fold(&other), english));
            } else if let Some((first, rest)) = words(&other).split_first() {
                dictionary.spaced.entry(first.clone()).or_default().push((rest.to_vec(), english));
            }
        }
    }
    dictionary.unspaced.sort_by_key(|(word, _)| std::cmp::Reverse(word.len()));
    for meanings in dictionary.spaced.values_mut() {
        meanings.sort_by_key(|(rest, _)| std::cmp::Reverse(rest.len()));
    }
    dictionary
});

/// Chinese, Japanese, Korean.
fn is_unspaced(c: char) -> bool {
    matches!(c as u32, 0x3040..=0x30ff | 0x4e00..=0x9fff | 0xac00..=0xd7af)
}

/// True when the text is most likely not English.
pub fn is_foreign(text: &str) -> bool {
    if text.chars().any(|c| c.is_alphabetic() && (c as u32) > 0x24f && !(0x1e00..=0x20ff).contains(&(c as u32))) {
        return true;
    }
    let words = words(text);
    if words.iter().any(|word| ENGLISH.contains(&word.as_str())) {
        return false;
    }
    let function = words.iter().filter(|word| is_function_word(word)).count();
    let unknown = words.iter().filter(|word| word.len() > 3 && !dictionary::knows(word)).count();
    let accented = text.chars().any(|c| c.is_alphabetic() && !c.is_ascii());
    // A shorter one may begin a phrase of another language and be an English word all the same ("in").
    let meant = |word: &&String| word.len() > 2 && DICTIONARY.spaced.contains_key(*word) && !dictionary::knows(word);
    let glossed = words.iter().filter(meant).count();
    function >= 2
        || (function >= 1 && unknown >= 1)
        || (accented && unknown >= 1)
        || (glossed >= 1 && unknown * 2 >= words.len())
}

/// The words of the text that are understood.
pub fn translate(text: &str) -> Translation {
    let mut found: Vec<(usize, &'static str)> = Vec::new();
    let mut rest = fold(text);
    for (word, english) in &DICTIONARY.unspaced {
        while let Some(at) = rest.find(word.as_str()) {
            found.push((at, english));
            // Keeps every position; a shorter word inside this one is not found again.
            rest.replace_range(at..at + word.len(), &" ".repeat(word.len()));
        }
    }
    let words = words(&rest);
    let mut at = 0;
    while at < words.len() {
        let meaning = DICTIONARY
            .spaced
            .get(&words[at])
            .and_then(|all| all.iter().find(|(more, _)| words[at + 1..].starts_with(more)));
        match meaning {
            Some((more, english)) => {
                found.push((at, english));
                at += 1 + more.len();
            }
            None => at += 1,
        }
    }
    found.sort_by_key(|(at, _)| *at);
    let mut glosses = Vec::new();
    for (_, english) in found {
        if !glosses.contains(&english) {
            glosses.push(english);
        }
    }
    Translation { glosses }
}
