//! What a request needs, one need for each server, as a person would split it.
//!
//! A request is cut into clauses. A clause is a need of its own when it names another product or speaks of another task
//! than the clause before it; else it says more about that one. A clause that names several products is cut behind each.

mod clauses;
mod draft;
#[cfg(test)]
mod tests;

use crate::text::{self, Concept, Product, is_foreign, words};
use clauses::{Clause, clauses};
use draft::Draft;

/// Verbs that begin a task.
pub(crate) const VERBS: [&str; 84] = [
    "read",
    "write",
    "look",
    "search",
    "find",
    "get",
    "fetch",
    "list",
    "show",
    "send",
    "post",
    "create",
    "make",
    "add",
    "update",
    "delete",
    "remove",
    "save",
    "store",
    "log",
    "sync",
    "move",
    "copy",
    "upload",
    "download",
    "translate",
    "summarise",
    "summarize",
    "transcribe",
    "extract",
    "convert",
    "generate",
    "draw",
    "plot",
    "email",
    "notify",
    "ping",
    "page",
    "message",
    "text",
    "call",
    "schedule",
    "book",
    "plan",
    "monitor",
    "watch",
    "track",
    "check",
    "query",
    "run",
    "execute",
    "deploy",
    "build",
    "test",
    "review",
    "open",
    "close",
    "assign",
    "tell",
    "remind",
    "remember",
    "scrape",
    "crawl",
    "load",
    "put",
    "write",
    "turn",
    "switch",
    "change",
    "edit",
    "manage",
    "control",
    "publish",
    "pay",
    "compute",
    "calculate",
    "compare",
    "analyse",
    "analyze",
    "collect",
    "answer",
    "reply",
    "alert",
    "connect",
];

/// Words that say nothing about what is searched.
const EMPTY: &str = "the a an to of in on for and or my our your me i we you is are it this that with from by at as be do \
    what how which who where when can could would want need please so if into about their them they his her its any all \
    some new every whenever get got show list read write find search look up use make create add mcp server tool agent ai \
    api claude llm context protocol model like tell through via using bring kind help let keep thing then also than just \
    something anything connect work";

/// What a task is ahead of others, in cosine, for being said in the lexicon's words.
const SAID: f32 = 0.2;
/// Least nearness of a task that is not said in them.
const MEANT: f32 = 0.45;

/// Needs of one request at most; what is beyond them is said with the last.
pub const MOST: usize = 8;
/// Characters of a request that are read.
pub const LONGEST: usize = 4_000;

/// One thing to be found.
#[derive(Clone, Debug, PartialEq)]
pub struct Need {
    /// In the words of the request.
    pub text: String,
    /// In English, with its spelling repaired.
    pub query: String,
    /// The same in the words that the catalog uses, of [`text::catalog_words`]: for each product that is named, and for the
    /// task.
    pub expansion: Vec<&'static str>,
    pub products: Vec<&'static Product>,
    /// Tasks that it speaks of in words that the lexicon knows, the most telling first.
    pub concepts: Vec<&'static Concept>,
    /// The greatest cosine with a task that the lexicon knows; none before [`Need::understand`].
    pub nearest: Option<f32>,
    /// True when no word of it is understood.
    pub opaque: bool,
}

/// A word to search for, and how telling it is among the others.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct Term {
    pub word: String,
    pub weight: f32,
}

impl Need {
    /// A need that was split off by somebody else, a language model for one.
    pub fn new(text: &str) -> Self {
        let text: String = text.chars().take(LONGEST).collect();
        let foreign = is_foreign(&text);
        let repaired = if foreign { text.clone() } else { text::repair(&text) };
        Draft::new(&Clause { text: repaired, colon: false }, foreign).finish(foreign)
    }

    /// Looks at what the tasks that the lexicon knows are like in meaning: `nearness` is the cosine with each of
    /// [`text::concepts`]. A task that is meant need not be said in the lexicon's words, nor need one that is said be meant.
    pub fn understand(&mut self, nearness: &[f32]) {
        let said = |index: usize| self.concepts.iter().position(|one| std::ptr::eq(*one, &text::concepts()[index]));
        let worth = |index: usize| nearness[index] + said(index).map_or(0.0, |place| SAID - 0.04 * place.min(3) as f32);
        self.nearest = nearness.iter().copied().reduce(f32::max);
        let Some(best) = (0..nearness.len()).max_by(|a, b| worth(*a).total_cmp(&worth(*b))) else { return };
        if said(best).is_none() && nearness[best] < MEANT {
            return;
        }
        let products = self.products.iter().map(|product| product.words.as_str());
        self.expansion = products.chain([text::concepts()[best].words.as_str()]).collect();
    }

    /// The words to search for.
    pub fn terms(&self) -> Vec<Term> {
        let mut terms: Vec<Term> = Vec::new();
        let mut add = |word: String, weight: f32| {
            if word.chars().count() > 40 || is_empty(&word) {
                return;
            }
            match terms.iter().position(|term| term.word == word) {
                Some(at) => terms[at].weight = terms[at].weight.max(weight),
                None if terms.len() < 40 => terms.push(Term { word, weight }),
                None => {}
            }
        };
        for product in &self.products {
            words(&product.name).into_iter().for_each(|word| add(word, 1.5));
        }
        words(&self.query).into_iter().for_each(|word| add(word, 1.0));
        self.expansion.iter().flat_map(|part| words(part)).for_each(|word| add(word, 0.35));
        terms
    }
}

fn is_empty(word: &str) -> bool {
    EMPTY.split_whitespace().any(|empty| empty == word)
}

/// How many words of a text say what it is about.
fn telling(text: &str) -> usize {
    words(text).iter().filter(|word| !is_empty(word) && !VERBS.contains(&word.as_str())).count()
}

/// The needs of a request, in its order. Empty for a text without a word.
pub fn split(request: &str) -> Vec<Need> {
    let request: String = request.chars().take(LONGEST).collect();
    let foreign = is_foreign(&request);
    let text = if foreign { request } else { text::repair(&request) };
    let mut drafts: Vec<Draft> = Vec::new();
    for clause in clauses(&text) {
        let draft = Draft::new(&clause, foreign);
        match drafts.last_mut() {
            Some(last) if !draft.stands_alone(last) => last.join(draft),
            _ => drafts.extend(draft.cut_behind_products(foreign)),
        }
    }
    // "Read and write my notes": the first clause says nothing by itself.
    if drafts.len() > 1 && drafts[0].is_bare() && telling(&drafts[0].text) < 2 {
        let first = drafts.remove(0);
        drafts[0].text = format!("{} {}", first.text, drafts[0].text);
    }
    if drafts.len() > MOST {
        for more in drafts.split_off(MOST) {
            drafts[MOST - 1].join(more);
        }
    }
    let mut needs: Vec<Need> = drafts.into_iter().map(|draft| draft.finish(foreign)).collect();
    // Naming the same single product twice is one need.
    let mut at = 0;
    while at < needs.len() {
        let same = |other: &Need| other.products.len() == 1 && other.products == needs[at].products;
        if let Some(earlier) = needs[..at].iter().position(same) {
            let need = needs.remove(at);
            needs[earlier].text = format!("{}, {}", needs[earlier].text, need.text);
            needs[earlier].query = format!("{}, {}", needs[earlier].query, need.query);
        } else {
            at += 1;
        }
    }
    needs
}
