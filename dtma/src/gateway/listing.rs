//! What may be shown: exactly what may be called.

use super::{
    own,
    registry::{Offer, Server, Snapshot},
};
use capability::Checked;
use std::collections::BTreeSet;

/// From how many tools on a list gives a search instead.
pub(super) const MANY: usize = 40;

type Shown<'s> = (&'s Server, &'s str, &'s Offer);

/// In the order of servers' names, then tools' names.
fn shown<'s>(servers: impl Iterator<Item = &'s Server>, checked: &'s Checked) -> impl Iterator<Item = Shown<'s>> {
    servers.flat_map(move |server| {
        let of = move |(name, offer): (&'s std::sync::Arc<str>, &'s Offer)| {
            checked.shows(&server.name, name, &offer.digest).then_some((server, &**name, offer))
        };
        server.tools().filter_map(of)
    })
}

/// The definitions for `/mcp`, separated by commas.
pub(super) fn all(snapshot: &Snapshot, checked: &Checked) -> String {
    let tools: Vec<Shown<'_>> = shown(snapshot.servers.values().map(|server| &**server), checked).collect();
    let mut out = String::new();
    if tools.len() > MANY {
        for tool in own::search() {
            push(&mut out, &tool.to_string());
        }
    } else {
        for tool in tools {
            push(&mut out, &qualified(&tool));
        }
    }
    push(&mut out, &own::need_more().to_string());
    out
}

/// The definitions for `/mcp/<server>`.
pub(super) fn one(server: &Server, checked: &Checked) -> String {
    let mut out = String::new();
    for (_, _, offer) in shown(std::iter::once(server), checked) {
        push(&mut out, offer.definition());
    }
    push(&mut out, &own::need_more().to_string());
    out
}

/// The best matches for a few words: a word in a tool's name counts more than one in its description, and a word that few
/// tools have more than one that many have.
pub(super) fn search(snapshot: &Snapshot, checked: &Checked, query: &str, limit: usize) -> String {
    let tools: Vec<Shown<'_>> = shown(snapshot.servers.values().map(|server| &**server), checked).collect();
    let query = query.to_lowercase();
    // Whole names as they are written, and their parts.
    let names = query.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '-'));
    let parts = query.split(|c: char| !c.is_alphanumeric());
    let words: BTreeSet<&str> = names.chain(parts).filter(|word| word.len() > 1).take(64).collect();
    let mut scores = vec![0.0; tools.len()];
    for word in words {
        let hits: Vec<usize> =
            (0..tools.len()).filter(|i| tools[*i].2.words.contains(word) || tools[*i].0.name.contains(word)).collect();
        let rare = (tools.len() as f64 / (hits.len().max(1)) as f64).ln() + 0.1;
        for hit in hits {
            let named = tools[hit].1.to_lowercase().contains(word) || tools[hit].0.name.contains(word);
            scores[hit] += if named { 3.0 * rare } else { rare };
        }
    }
    let mut order: Vec<usize> = (0..tools.len()).filter(|i| scores[*i] > 0.0).collect();
    order.sort_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut out = String::new();
    for hit in order.into_iter().take(limit) {
        push(&mut out, &qualified(&tools[hit]));
    }
    out
}

/// A definition under the name that it has at `/mcp`. Servers' names have no underscore, so two never give the same.
fn qualified((server, name, offer): &Shown<'_>) -> String {
    let mut out = String::with_capacity(offer.definition().len() + server.name.len() + 2);
    offer.named(&format!("{}__{name}", server.name), &mut out);
    out
}

fn push(out: &mut String, definition: &str) {
    if !out.is_empty() {
        out.push(',');
    }
    out.push_str(definition);
}
