//! How long a server that ended stays down: 10 seconds, doubled each time, 5 minutes at most, with up to a quarter more so
//! that many do not come back at once. Kept over a restart of the daemon; forgotten after a good run or under a new
//! generation of the desired state.

use super::Workshop;
use crate::ledger::Series;
use protocol::ids::ServerId;
use std::time::Duration;

const FIRST: u64 = 10;
/// With its quarter, 5 minutes.
const MOST: u64 = 240;
/// Having run for this long, an end is news and not part of a series.
const WELL: Duration = Duration::from_secs(600);

/// After an end at `now`, having run for `ran` (zero when it never did). `chance` is from 0 to 1.
fn next(before: Option<Series>, generation: u64, ran: Duration, now: i64, chance: f64) -> (Series, Duration) {
    let before = before.filter(|series| series.generation == generation && ran < WELL);
    let ends = before.map_or(0, |series| series.ends);
    let base = (FIRST << ends.min(5)).min(MOST);
    let wait = Duration::from_secs(base + (base as f64 / 4.0 * chance) as u64);
    let until = now.saturating_add(wait.as_secs() as i64);
    (Series { generation, ends: ends.saturating_add(1), until }, wait)
}

/// What is left of the wait. The clock may have jumped either way, so it is never longer than any wait is.
fn left(series: Option<Series>, generation: u64, now: i64) -> Duration {
    let Some(series) = series.filter(|series| series.generation == generation) else { return Duration::ZERO };
    let seconds = series.until.saturating_sub(now).clamp(0, (MOST + MOST / 4) as i64);
    Duration::from_secs(seconds as u64)
}

impl Workshop {
    /// Counts an end and says how long to wait. One write for each end, so at most one in 10 seconds for each server.
    pub(super) fn ended(&self, server: ServerId, generation: u64, ran: Duration) -> Duration {
        let mut all = self.series();
        let (series, wait) = next(all.get(&server).copied(), generation, ran, self.world.now(), self.world.chance());
        all.insert(server, series);
        self.keep(&all);
        wait
    }

    /// How long a server that a daemon before this one saw end still has to wait.
    pub(super) fn still_waits(&self, server: ServerId, generation: u64) -> Duration {
        left(self.series().get(&server).copied(), generation, self.world.now())
    }

    pub(super) fn forget_series(&self, wanted: impl Fn(&ServerId) -> bool) {
        let mut all = self.series();
        let before = all.len();
        all.retain(|server, _| wanted(server));
        if all.len() != before {
            self.keep(&all);
        }
    }

    fn series(&self) -> std::sync::MutexGuard<'_, crate::ledger::AllSeries> {
        self.series.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn keep(&self, all: &crate::ledger::AllSeries) {
        if let Err(error) = self.ledger.series().store(all) {
            tracing::error!(%error, "how often servers ended could not be kept");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_five_minutes_and_forgets_after_a_good_run_or_a_new_generation() {
        let waits = |chance: f64| {
            let mut series = None;
            let mut waits = vec![];
            for _ in 0..7 {
                let (next, wait) = next(series, 1, WELL - Duration::from_secs(1), 0, chance);
                series = Some(next);
                waits.push(wait.as_secs());
            }
            (waits, series)
        };
        assert_eq!(waits(0.0).0, [10, 20, 40, 80, 160, 240, 240]);
        let (most, series) = waits(1.0);
        assert_eq!(most, [12, 25, 50, 100, 200, 300, 300]);
        assert_eq!(next(series, 1, WELL, 0, 0.0).1.as_secs(), 10);
        assert_eq!(next(series, 2, Duration::ZERO, 0, 0.0).1.as_secs(), 10);
        assert_eq!(next(series, 1, Duration::ZERO, 0, 0.0).1.as_secs(), 240);
    }

    #[test]
    fn what_is_left_is_bounded_whatever_the_clock_says() {
        let series = Some(Series { generation: 3, ends: 2, until: 1000 });
        assert_eq!(left(series, 3, 990), Duration::from_secs(10));
        assert_eq!(left(series, 3, 2000), Duration::ZERO);
        assert_eq!(left(series, 3, i64::MIN), Duration::from_secs(300));
        assert_eq!(left(series, 4, 990), Duration::ZERO);
        assert_eq!(left(None, 3, 990), Duration::ZERO);
    }
}
