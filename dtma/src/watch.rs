//! Whether every loop of the daemon still moves.
//!
//! A loop owns a [`Heart`] and says at each turn by when it turns again. One that lets its time pass stands still; then the
//! service manager is no longer told that all is well, and it starts the daemon anew. Servers are not touched by that.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};
use tokio::time::Instant;

/// How late a loop may be for reasons that are not its own: a machine that sleeps, swaps or starts twenty servers at once.
const SLACK: Duration = Duration::from_secs(30);

/// The loops that are watched. Cheap to clone.
#[derive(Clone)]
pub struct Watch {
    since: Instant,
    hearts: Arc<Mutex<Vec<(&'static str, Heart)>>>,
}

impl Default for Watch {
    fn default() -> Self {
        Self { since: Instant::now(), hearts: Arc::default() }
    }
}

impl Watch {
    /// A heart for the loop of this name; its first beat is due within a minute.
    pub fn heart(&self, name: &'static str) -> Heart {
        let heart = Heart { since: self.since, due: Arc::default(), good: Arc::default() };
        heart.beat(Duration::from_secs(60));
        self.hearts.lock().unwrap_or_else(PoisonError::into_inner).push((name, heart.clone()));
        heart
    }

    /// A loop that stands still, if one does.
    pub fn still(&self) -> Option<&'static str> {
        self.still_at(self.since.elapsed())
    }

    fn still_at(&self, now: Duration) -> Option<&'static str> {
        let hearts = self.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        let due = hearts.iter().map(|(name, heart)| (*name, Duration::from_millis(heart.due.load(Ordering::Relaxed))));
        late(due, now)
    }
}

/// What one loop shows of itself. Cheap to clone; a heart that nobody watches may beat too.
#[derive(Clone)]
pub struct Heart {
    since: Instant,
    /// Milliseconds since `since`.
    due: Arc<AtomicU64>,
    good: Arc<AtomicBool>,
}

impl Default for Heart {
    fn default() -> Self {
        Self { since: Instant::now(), due: Arc::default(), good: Arc::default() }
    }
}

impl Heart {
    /// The loop turned, and turns again within this time.
    pub fn beat(&self, within: Duration) {
        let due = self.since.elapsed() + within;
        self.due.store(due.as_millis().try_into().unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The loop did what it is there for, at least once.
    pub fn succeeded(&self) {
        self.good.store(true, Ordering::Relaxed);
    }

    pub fn has_succeeded(&self) -> bool {
        self.good.load(Ordering::Relaxed)
    }
}

/// The first whose time is over by more than the slack.
fn late(due: impl IntoIterator<Item = (&'static str, Duration)>, now: Duration) -> Option<&'static str> {
    due.into_iter().find(|(_, due)| now > due.saturating_add(SLACK)).map(|(name, _)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn one_loop_that_stands_still_is_named_whatever_the_others_do() {
        let due = [("a", s(100)), ("b", s(40)), ("c", s(100))];
        assert_eq!(late(due, s(0)), None);
        assert_eq!(late(due, s(70)), None, "late, but within the slack");
        assert_eq!(late(due, s(71)), Some("b"));
        assert_eq!(late([("a", Duration::MAX)], s(1 << 40)), None);
        assert_eq!(late([], s(1000)), None);
    }

    #[test]
    fn a_heart_that_stops_beating_is_noticed_and_one_that_beats_is_not() {
        let watch = Watch::default();
        let (one, two) = (watch.heart("one"), watch.heart("two"));
        one.beat(s(10_000));
        assert_eq!(watch.still_at(s(60)), None);
        // Its first beat was due, and it never began.
        assert_eq!(watch.still_at(s(1000)), Some("two"));
        two.beat(s(10_000));
        assert_eq!(watch.still_at(s(1000)), None, "it moves again");
        assert_eq!(watch.still_at(s(20_000)), Some("one"));
    }

    #[test]
    fn one_success_is_remembered_for_all_who_hold_the_heart() {
        let heart = Watch::default().heart("a");
        let other = heart.clone();
        assert!(!other.has_succeeded());
        heart.succeeded();
        assert!(other.has_succeeded());
    }
}
