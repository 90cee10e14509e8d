//! Cutting a text where a person would take a breath.

use crate::text::fold;

#[derive(Debug, PartialEq)]
pub(super) struct Clause {
    pub(super) text: String,
    /// It has a colon: what follows belongs to what was named before it.
    pub(super) colon: bool,
}

/// Words that join two things to do.
const JOINTS: [&str; 22] = [
    "and",
    "then",
    "plus",
    "&",
    "und",
    "dann",
    "sowie",
    "et",
    "puis",
    "y",
    "luego",
    "e",
    "poi",
    "och",
    "og",
    "en",
    "и",
    "और",
    "+",
    "afterwards",
    "anschließend",
    "también",
];

pub(super) fn clauses(text: &str) -> Vec<Clause> {
    let mut clauses: Vec<Clause> = Vec::new();
    for sentence in sentences(text) {
        let mut words: Vec<&str> = Vec::new();
        for word in sentence.split_whitespace() {
            if JOINTS.contains(&fold(word).as_str()) {
                push(&mut clauses, &words);
                words.clear();
            } else {
                words.push(word);
            }
        }
        push(&mut clauses, &words);
    }
    clauses
}

fn push(clauses: &mut Vec<Clause>, words: &[&str]) {
    let text = words.join(" ");
    let text = text.trim_matches(|c: char| !c.is_alphanumeric() && c != '+' && c != '#');
    if text.chars().any(char::is_alphanumeric) {
        clauses.push(Clause { text: text.to_owned(), colon: text.contains(": ") });
    }
}

/// Parts between punctuation; a full stop counts only before a space or at the end ("linear.app" is a name).
fn sentences(text: &str) -> Vec<String> {
    let mut sentences = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let ends =
            matches!(c, ',' | ';' | '!' | '?' | '\n' | '、' | '，' | '。' | '；' | '？' | '！' | '।' | '并' | '和')
                || (c == '.' && chars.peek().is_none_or(|next| next.is_whitespace()));
        match sentences.last_mut() {
            Some(last) if !ends => last.push(c),
            _ => sentences.push(String::new()),
        }
    }
    sentences
}
