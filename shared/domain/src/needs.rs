//! What a request needs, one need for each server, as a person would split it.
//!
//! A request is cut into clauses. A clause is a need of its own when it names another product or speaks of another task
//! than the clause before it; else it says more about that one. A clause that names several products is cut behind each.

mod clauses;
#[cfg(test)]
mod tests;

use crate::text::{self, Concept, Product, concepts_in, is_foreign, products_in, translate, words};
use clauses::{Clause, clauses};

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
    /// The same in the words that the catalog uses; empty when no product and no known task is named.
    pub expansion: String,
    pub products: Vec<&'static Product>,
    /// True when it speaks of a task that the lexicon knows.
    pub familiar: bool,
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

    /// The words to search for.
    pub fn terms(&self) -> Vec<Term> {
        let mut terms: Vec<Term> = Vec::new();
        let mut add = |word: String, weight: f32| {
            if word.chars().count() > 40 || EMPTY.split_whitespace().any(|empty| empty == word) {
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
        words(&self.expansion).into_iter().for_each(|word| add(word, 0.35));
        terms
    }
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
    if drafts.len() > 1 && drafts[0].is_bare() {
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

/// A need in the making.
struct Draft {
    text: String,
    products: Vec<&'static Product>,
    concepts: Vec<&'static Concept>,
    /// The clause was "Product: do this, do that".
    colon: bool,
}

impl Draft {
    fn new(clause: &Clause, foreign: bool) -> Self {
        let mut said = words(&clause.text);
        if foreign {
            said.retain(|word| !text::is_function_word(word));
        }
        let mut products = products_in(&said);
        let understood = if foreign { gloss_words(&clause.text) } else { said };
        for product in products_in(&understood) {
            if !products.contains(&product) {
                products.push(product);
            }
        }
        Self {
            text: clause.text.clone(),
            colon: clause.colon && !products.is_empty(),
            products,
            concepts: concepts_in(&understood),
        }
    }

    fn is_bare(&self) -> bool {
        self.products.is_empty() && self.concepts.is_empty()
    }

    /// False when this clause only says more about the need before it.
    fn stands_alone(&self, before: &Self) -> bool {
        if !self.products.is_empty() {
            return self.products.iter().any(|product| !before.products.contains(product));
        }
        if before.colon || self.concepts.is_empty() {
            return false;
        }
        if self.concepts.iter().take(2).any(|concept| before.concepts.iter().take(2).any(|other| other == concept)) {
            return false;
        }
        let said = words(&self.text);
        let verb = said.iter().take(3).any(|word| VERBS.contains(&word.as_str()));
        // "Xero invoices and contacts", "studies about sleep and memory".
        let named = !before.products.is_empty() && said.len() <= 3;
        let about = said.len() <= 2
            && words(&before.text).iter().any(|word| matches!(word.as_str(), "about" | "between" | "with" | "of"));
        verb || !(named || about)
    }

    fn join(&mut self, more: Self) {
        self.text = format!("{}, {}", self.text, more.text);
        for concept in more.concepts {
            if !self.concepts.contains(&concept) {
                self.concepts.push(concept);
            }
        }
    }

    /// "Create a ticket in Linear whenever a GitHub issue is opened" is two: one for each product.
    fn cut_behind_products(self, foreign: bool) -> Vec<Self> {
        if self.products.len() < 2 || self.colon {
            return vec![self];
        }
        let tokens: Vec<&str> = self.text.split_whitespace().collect();
        let mut parts: Vec<(Vec<&str>, Vec<&'static Product>)> = vec![(Vec::new(), Vec::new())];
        let mut seen: Vec<&'static Product> = Vec::new();
        for (at, token) in tokens.iter().enumerate() {
            let until = words(&tokens[..=at].join(" "));
            let named = products_in(&until);
            // A longer name that goes on ("Google" "Sheets") is not cut.
            let goes_on = tokens.get(at + 1).is_some_and(|next| {
                let with_next = products_in(&words(&format!("{} {next}", tokens[..=at].join(" "))));
                with_next.len() == named.len() && with_next != named
            });
            let part = parts.last_mut().expect("there is always one");
            part.0.push(token);
            let new: Vec<_> = named.into_iter().filter(|product| !seen.contains(product)).collect();
            if !new.is_empty() && !goes_on {
                seen.extend(&new);
                part.1 = new;
                parts.push((Vec::new(), Vec::new()));
            }
        }
        let rest = parts.pop().expect("there is always one");
        if parts.len() < 2 {
            return vec![self];
        }
        if let Some(last) = parts.last_mut() {
            last.0.extend(rest.0);
        }
        parts
            .into_iter()
            .map(|(tokens, products)| {
                let text = tokens.join(" ");
                let understood = if foreign { gloss_words(&text) } else { words(&text) };
                Self { text, products, concepts: concepts_in(&understood), colon: false }
            })
            .collect()
    }

    fn finish(self, foreign: bool) -> Need {
        let opaque;
        let query = if foreign {
            let glosses = translate(&self.text).glosses;
            opaque = glosses.is_empty() && self.products.is_empty() && self.concepts.is_empty();
            let names = self.products.iter().map(|product| product.name.as_str());
            let query = glosses.into_iter().chain(names).collect::<Vec<_>>().join(" ");
            if query.is_empty() { self.text.clone() } else { query }
        } else {
            // Letters that are no words of any kind.
            let unknown = words(&self.text).iter().all(|word| !text::knows(word) && !text::is_function_word(word));
            opaque = unknown && self.is_bare();
            self.text.clone()
        };
        let mut expansion: Vec<&str> = self.products.iter().map(|product| product.name.as_str()).collect();
        expansion.extend(self.concepts.first().map(|concept| concept.words.as_str()));
        expansion.extend(self.products.iter().map(|product| product.also.as_str()).filter(|also| !also.is_empty()));
        Need {
            expansion: expansion.join(" "),
            query,
            familiar: !self.concepts.is_empty(),
            products: self.products,
            opaque,
            text: self.text,
        }
    }
}

fn gloss_words(said: &str) -> Vec<String> {
    let glosses = translate(said).glosses.join(" ");
    let mut all = words(&glosses);
    // Words that both languages share still speak.
    let shared = |word: &String| word.is_ascii() && word.len() > 3 && !text::is_function_word(word);
    all.extend(words(said).into_iter().filter(shared));
    all
}
