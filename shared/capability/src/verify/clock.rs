use std::{
    sync::atomic::{AtomicI64, Ordering},
    time::Instant,
};

/// A clock that the machine's own cannot turn back: what the control plane said, plus what has passed since.
pub(super) struct Clock {
    start: Instant,
    /// The control plane's time at `start`, in milliseconds; `i64::MIN` while it has not spoken.
    origin: AtomicI64,
}

impl Clock {
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), origin: AtomicI64::new(i64::MIN) }
    }

    pub(super) fn observe(&self, seconds: i64) {
        let origin = seconds.saturating_mul(1000).saturating_sub(self.elapsed());
        self.origin.fetch_max(origin, Ordering::AcqRel);
    }

    pub(super) fn at_least(&self, seconds: i64) -> i64 {
        match self.origin.load(Ordering::Acquire) {
            i64::MIN => seconds,
            origin => seconds.max(origin.saturating_add(self.elapsed()) / 1000),
        }
    }

    fn elapsed(&self) -> i64 {
        i64::try_from(self.start.elapsed().as_millis()).unwrap_or(i64::MAX)
    }
}
