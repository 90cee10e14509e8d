//! What is not the same twice: the clock on the wall, and chance. A simulation gives its own.

use rand::Rng;

pub trait World: Send + Sync {
    /// Seconds since the epoch. It may jump, so it is never trusted for more than a bounded wait.
    fn now(&self) -> i64;
    /// From 0 to 1.
    fn chance(&self) -> f64;
}

pub struct RealWorld;

impl World for RealWorld {
    fn now(&self) -> i64 {
        jiff::Timestamp::now().as_second()
    }

    fn chance(&self) -> f64 {
        rand::rng().random_range(0.0..1.0)
    }
}
