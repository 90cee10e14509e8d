//! The time, so that a test can say what it is.

use jiff::Timestamp;
use std::sync::Arc;

#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    pub fn system() -> Self {
        Self(Arc::new(Timestamp::now))
    }

    pub fn from_fn(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    pub fn now(&self) -> Timestamp {
        (self.0)()
    }

    /// Seconds since the epoch, as tokens count.
    pub fn seconds(&self) -> i64 {
        self.now().as_second()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::system()
    }
}
