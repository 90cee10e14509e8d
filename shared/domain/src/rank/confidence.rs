//! How sure we are that the best of what was found does what the need asks.

use super::{Entry, Naming};
use crate::needs::Need;

/// Below this confidence a need counts as one that nothing in the catalog fits.
pub const ANSWERED: f32 = 0.5;

/// The chance, 0 to 1, that an acceptable entry is among these, the best ones. A logistic regression over labelled
/// requests, answerable and not.
pub(super) fn confidence<'a>(need: &Need, best: impl Iterator<Item = (&'a Entry, Naming)>, unfit: f32) -> f32 {
    let mut own = 0.0_f32;
    let mut similarity = 0.0_f32;
    let mut words = 0.0_f32;
    let mut naming = Naming::No;
    let mut any = false;
    let mut vectors = false;
    for (entry, named) in best {
        any = true;
        vectors |= entry.similarity.is_some();
        own = own.max(entry.own_similarity.unwrap_or(0.0));
        similarity = similarity.max(entry.similarity.unwrap_or(0.0));
        words = words.max(entry.words);
        if named > naming {
            naming = named;
        }
    }
    if !any {
        return 0.0;
    }
    if !vectors {
        // Words alone: nothing is embedded yet.
        own = words;
        similarity = words;
    }
    let flag = |set: bool, weight: f32| if set { weight } else { 0.0 };
    // What is near to a task that the lexicon knows is more likely one; where that is not known, as near as to an entry.
    let nearest = need.nearest.unwrap_or(own + 0.1);
    let evidence = 2.7 * own + 5.7 * similarity + 1.1 * words + 6.8 * nearest - 9.8 * unfit
        + match naming {
            Naming::Named => 3.6,
            Naming::Mentioned => 1.8,
            Naming::No => 0.0,
        }
        + flag(!need.concepts.is_empty(), 1.5)
        - flag(!need.products.is_empty() && naming == Naming::No, 2.0)
        - flag(need.opaque, 2.7)
        - 4.6;
    1.0 / (1.0 + (-evidence).exp())
}
