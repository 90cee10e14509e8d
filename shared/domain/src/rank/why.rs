//! The reason, in words, for a person.

use super::{Entry, Naming};
use crate::needs::Need;

pub(super) fn why(need: &Need, entry: &Entry, naming: Naming, official: bool) -> String {
    let product = need.products.iter().map(|product| product.name.as_str()).collect::<Vec<_>>().join(" and ");
    let mut reasons: Vec<String> = Vec::new();
    match naming {
        Naming::Named => reasons.push(format!("made for {product}")),
        Naming::Mentioned => reasons.push(format!("works with {product}")),
        Naming::No => {}
    }
    if official {
        reasons.push("from the product's own publisher".to_owned());
    }
    let similarity = entry.similarity.unwrap_or(0.0);
    if reasons.is_empty() || similarity >= 0.6 {
        reasons.push(match similarity {
            s if s >= 0.6 => "its description says what you ask for".to_owned(),
            s if s >= 0.4 => "its description is close to what you ask for".to_owned(),
            _ if entry.words >= 0.3 => "its description has the words of your request".to_owned(),
            _ => "the nearest that the catalog has".to_owned(),
        });
    }
    if entry.seeded {
        reasons.push("one of the servers that Agentopia knows well".to_owned());
    } else if entry.known >= 0.6 {
        reasons.push("widely used".to_owned());
    }
    if entry.deprecated {
        reasons.push("but no longer maintained".to_owned());
    }
    if !entry.verified {
        reasons.push("but its package could not be confirmed".to_owned());
    }
    if entry.fork {
        reasons.push("but republished by somebody else".to_owned());
    }
    let mut text = reasons.join("; ");
    if let Some(first) = text.get(..1) {
        let upper = first.to_uppercase();
        text.replace_range(..1, &upper);
    }
    text
}
