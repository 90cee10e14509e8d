//! How often a password may be guessed and an account made. In memory: the service is one process, and a restart that
//! forgets a count gives a handful of guesses.

use super::error::Error;
use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

/// Seconds.
const WINDOW: i64 = 300;
/// Keys kept at once; when full, what is old goes first, then new keys wait.
const MOST: usize = 10_000;

/// Counts events by key within a window that starts with the first.
pub(super) struct Limit {
    most: u32,
    counts: Mutex<HashMap<String, (i64, u32)>>,
}

impl Limit {
    pub(super) fn new(most: u32) -> Self {
        Self { most, counts: Mutex::default() }
    }

    /// Takes one; refused when the window's are used up.
    pub(super) fn take(&self, key: &str, now: i64) -> Result<(), Error> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MOST && !counts.contains_key(key) {
            counts.retain(|_, (start, _)| now - *start < WINDOW);
            if counts.len() >= MOST {
                return Err(Error::Busy);
            }
        }
        let (start, count) = counts.entry(key.to_owned()).or_insert((now, 0));
        if now - *start >= WINDOW {
            (*start, *count) = (now, 0);
        }
        if *count >= self.most {
            return Err(Error::TooMany(u32::try_from(*start + WINDOW - now).unwrap_or(1).max(1)));
        }
        *count += 1;
        Ok(())
    }

    /// Gives them back: the guess was right.
    pub(super) fn clear(&self, key: &str) {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn after_the_window_it_starts_again() {
        let limit = Limit::new(2);
        assert!(limit.take("a", 0).is_ok() && limit.take("a", 1).is_ok());
        assert!(matches!(limit.take("a", 2), Err(Error::TooMany(298))));
        assert!(limit.take("b", 2).is_ok(), "another key has its own");
        assert!(limit.take("a", WINDOW).is_ok());
    }

    #[test]
    fn a_right_guess_gives_them_back() {
        let limit = Limit::new(1);
        limit.take("a", 0).unwrap();
        limit.clear("a");
        assert!(limit.take("a", 0).is_ok());
    }

    proptest! {
        #[test]
        fn no_window_takes_more_than_allowed(most in 1u32..10, times in proptest::collection::vec(0i64..WINDOW, 0..60)) {
            let limit = Limit::new(most);
            let mut times = times;
            times.sort_unstable();
            let taken = times.iter().filter(|now| limit.take("k", **now).is_ok()).count();
            prop_assert!(taken <= most as usize);
        }
    }
}
