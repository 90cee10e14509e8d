//! The rule of the trial: a new version is kept only when it has proved itself.

use super::Version;
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Starts that a version on trial gets: it may lose one to a power cut and one to bad luck.
const STARTS: u32 = 3;

/// What is remembered of updates, in the ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Updates {
    pub trial: Option<Trial>,
    /// The last one that did not prove itself.
    pub failed: Option<Failed>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trial {
    pub version: Version,
    /// Where to go back to.
    pub previous: Version,
    /// Seconds since the epoch.
    pub since: i64,
    /// How often it was started.
    pub boots: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    pub version: Version,
    pub why: String,
    /// Seconds since the epoch.
    pub at: i64,
}

/// When the rule is asked.
#[derive(Clone, Copy, Debug)]
pub enum Moment {
    /// The version on trial starts.
    Start,
    /// It has been running for so long; what it managed in this time.
    Running { lasted: Duration, reconciled: bool, checked_in: bool },
    /// Its process ended, and nobody had told it to.
    Crashed,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Keep,
    Commit,
    RollBack(String),
}

/// `limit` is how long a start may take until it has proved itself.
pub fn judge(trial: &Trial, moment: Moment, limit: Duration) -> Verdict {
    match moment {
        Moment::Start if trial.boots < STARTS => Verdict::Keep,
        Moment::Start => Verdict::RollBack(format!("it was started {STARTS} times and never proved itself")),
        Moment::Running { reconciled: true, checked_in: true, .. } => Verdict::Commit,
        Moment::Running { lasted, .. } if lasted < limit => Verdict::Keep,
        Moment::Running { reconciled, checked_in, .. } => {
            let missing = match (reconciled, checked_in) {
                (false, false) => "neither a reconcile nor a check-in",
                (false, true) => "no reconcile",
                _ => "no check-in",
            };
            Verdict::RollBack(format!("{missing} succeeded within {} seconds", limit.as_secs()))
        }
        Moment::Crashed => Verdict::RollBack("it ended by itself".into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMIT: Duration = Duration::from_secs(120);

    fn trial(boots: u32) -> Trial {
        let version = |text: &str| text.parse().unwrap();
        Trial { version: version("0.2.0"), previous: version("0.1.0"), since: 0, boots }
    }

    fn running(seconds: u64, reconciled: bool, checked_in: bool) -> Verdict {
        judge(&trial(1), Moment::Running { lasted: Duration::from_secs(seconds), reconciled, checked_in }, LIMIT)
    }

    #[test]
    fn both_proofs_commit_at_once_and_even_at_the_last_moment() {
        assert_eq!(running(0, true, true), Verdict::Commit);
        assert_eq!(running(120, true, true), Verdict::Commit);
    }

    #[test]
    fn one_proof_is_not_enough_and_the_reason_names_what_is_missing() {
        for (reconciled, checked_in, word) in
            [(false, false, "neither"), (true, false, "no check-in"), (false, true, "no reconcile")]
        {
            assert_eq!(running(119, reconciled, checked_in), Verdict::Keep);
            let Verdict::RollBack(why) = running(120, reconciled, checked_in) else { panic!("it is kept") };
            assert!(why.starts_with(word), "{why}");
        }
    }

    #[test]
    fn a_version_that_dies_at_its_start_gets_three_starts() {
        for boots in 0..STARTS {
            assert_eq!(judge(&trial(boots), Moment::Start, LIMIT), Verdict::Keep);
        }
        assert!(matches!(judge(&trial(STARTS), Moment::Start, LIMIT), Verdict::RollBack(_)));
        assert!(matches!(judge(&trial(1), Moment::Crashed, LIMIT), Verdict::RollBack(_)));
    }
}
