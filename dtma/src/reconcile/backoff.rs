//! How long a server that ended stays down: 10 seconds, doubled each time, 5 minutes at most, again short after it ran well.

use std::time::Duration;

const FIRST: Duration = Duration::from_secs(10);
const MOST: Duration = Duration::from_secs(300);
/// Having run for this long, an end is news and not part of a series.
const WELL: Duration = Duration::from_secs(120);

#[derive(Default)]
pub(super) struct Backoff {
    ends: u32,
}

impl Backoff {
    /// After it ran for `ran`; zero when it never did.
    pub(super) fn next(&mut self, ran: Duration) -> Duration {
        if ran >= WELL {
            self.ends = 0;
        }
        let wait = FIRST.saturating_mul(1 << self.ends.min(5)).min(MOST);
        self.ends += 1;
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_five_minutes_and_forgets_after_a_good_run() {
        let mut backoff = Backoff::default();
        let waits: Vec<u64> = (0..8).map(|_| backoff.next(Duration::ZERO).as_secs()).collect();
        assert_eq!(waits, [10, 20, 40, 80, 160, 300, 300, 300]);
        assert_eq!(backoff.next(WELL), FIRST);
    }
}
