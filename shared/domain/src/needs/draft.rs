//! A need while it is cut out of a request.

use super::{Need, VERBS, clauses::Clause};
use crate::text::{self, Concept, Product, concepts_in, products_in, translate, words};

/// A need in the making.
pub(super) struct Draft {
    pub(super) text: String,
    products: Vec<&'static Product>,
    concepts: Vec<&'static Concept>,
    /// The clause was "Product: do this, do that".
    colon: bool,
}

impl Draft {
    pub(super) fn new(clause: &Clause, foreign: bool) -> Self {
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

    pub(super) fn is_bare(&self) -> bool {
        self.products.is_empty() && self.concepts.is_empty()
    }

    /// False when this clause only says more about the need before it.
    pub(super) fn stands_alone(&self, before: &Self) -> bool {
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

    pub(super) fn join(&mut self, more: Self) {
        self.text = format!("{}, {}", self.text, more.text);
        for concept in more.concepts {
            if !self.concepts.contains(&concept) {
                self.concepts.push(concept);
            }
        }
    }

    /// "Create a ticket in Linear whenever a GitHub issue is opened" is two: one for each product.
    pub(super) fn cut_behind_products(self, foreign: bool) -> Vec<Self> {
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

    pub(super) fn finish(self, foreign: bool) -> Need {
        let opaque;
        let query = if foreign {
            let glosses = translate(&self.text).glosses;
            opaque = glosses.is_empty() && self.products.is_empty() && self.concepts.is_empty();
            let names = self.products.iter().map(|product| product.name.clone());
            let more = shared(&self.text).filter(|word| text::is_task_word(word));
            let query = glosses.into_iter().map(str::to_owned).chain(names).chain(more).collect::<Vec<_>>().join(" ");
            if query.is_empty() { self.text.clone() } else { query }
        } else {
            // Letters that are no words of any kind.
            let unknown = words(&self.text).iter().all(|word| !text::knows(word) && !text::is_function_word(word));
            opaque = unknown && self.is_bare();
            self.text.clone()
        };
        let products = self.products.iter().map(|product| product.words.as_str());
        Need {
            expansion: products.chain(self.concepts.first().map(|concept| concept.words.as_str())).collect(),
            query,
            nearest: None,
            concepts: self.concepts,
            products: self.products,
            opaque,
            text: self.text,
        }
    }
}

fn gloss_words(said: &str) -> Vec<String> {
    let glosses = translate(said).glosses.join(" ");
    let mut all = words(&glosses);
    all.extend(shared(said));
    all
}

/// Words that English may share with the other language.
fn shared(said: &str) -> impl Iterator<Item = String> {
    words(said).into_iter().filter(|word| word.is_ascii() && word.len() > 3 && !text::is_function_word(word))
}
