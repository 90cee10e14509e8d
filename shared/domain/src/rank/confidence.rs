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
        own = 0.7 * words;
        similarity = 0.7 * words;
    }
    let flag = |set: bool, weight: f32| if set { weight } else { 0.0 };
    let evidence = 5.0 * own + 3.0 * similarity + 2.5 * words - 10.0 * unfit
        + match naming {
            Naming::Named => 4.5,
            Naming::Mentioned => 3.0,
            Naming::No => 0.0,
        }
        + flag(need.familiar, 3.0)
        - flag(!need.products.is_empty() && naming == Naming::No, 2.0)
        - flag(need.opaque, 4.0)
        - 0.5;
    1.0 / (1.0 + (-evidence).exp())
}
