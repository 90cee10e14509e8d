//! Whether the machine has room for another server. Limits are promises, and few servers use all of theirs, so more may be
//! promised than there is; how much more is the owner's choice.

/// Of a machine, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Room {
    pub(super) memory: i64,
    /// What the containers that there are may use.
    pub(super) promised: i64,
    pub(super) overcommit: f64,
}

impl Room {
    /// Why there is none for one that may use `memory`.
    pub(super) fn check(self, memory: i64) -> Result<(), String> {
        let most = self.memory as f64 * self.overcommit;
        let sum = self.promised.saturating_add(memory);
        if sum as f64 <= most {
            return Ok(());
        }
        let mib = |bytes: i64| bytes >> 20;
        Err(format!(
            "the servers of this machine may use {} MiB together and another {} MiB would be more than {} times its {} MiB; \
             remove a server, or give each less memory (--server-memory), or promise more (--memory-overcommit)",
            mib(self.promised),
            mib(memory),
            self.overcommit,
            mib(self.memory),
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_all_limits_is_held_against_the_machine() {
        let room = |promised: i64, overcommit| Room { memory: 1000 << 20, promised: promised << 20, overcommit };
        assert_eq!(room(0, 1.0).check(1000 << 20), Ok(()));
        assert_eq!(room(1500, 2.0).check(500 << 20), Ok(()));
        let why = room(1500, 2.0).check(501 << 20).unwrap_err();
        assert!(why.contains("1500 MiB together") && why.contains("501 MiB") && why.contains("2 times its 1000 MiB"));
        assert!(room(0, 0.5).check(501 << 20).is_err());
        assert!(Room { memory: 1, promised: i64::MAX, overcommit: 8.0 }.check(i64::MAX).is_err());
    }
}
