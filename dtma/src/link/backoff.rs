//! When to try again: anywhere between nothing and a bound that doubles ("full jitter"), so that toolboxes which lost the control plane
//! together do not come back together.

use rand::Rng;
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const MOST: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }

    pub(super) fn next(&mut self) -> Duration {
        let bound = bound(self.failures);
        self.failures = self.failures.saturating_add(1);
        bound.mul_f64(rand::rng().random_range(0.0..1.0))
    }
}

fn bound(failures: u32) -> Duration {
    FIRST.saturating_mul(1 << failures.min(10)).min(MOST)
}

/// Plus or minus a fifth.
pub(super) fn jitter(interval: Duration) -> Duration {
    interval.mul_f64(rand::rng().random_range(0.8..1.2))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_doubles_up_to_a_minute() {
        assert_eq!(bound(0), FIRST);
        assert_eq!(bound(3), FIRST * 8);
        assert_eq!(bound(7), MOST);
        assert_eq!(bound(u32::MAX), MOST);
    }

    #[test]
    fn no_wait_is_over_its_bound() {
        let mut backoff = Backoff::default();
        for failures in 0..40 {
            assert!(backoff.next() <= bound(failures));
        }
        let interval = Duration::from_secs(30);
        for _ in 0..100 {
            assert!((Duration::from_secs(24)..=Duration::from_secs(36)).contains(&jitter(interval)));
        }
    }
}
