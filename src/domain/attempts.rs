//! How often a password may be tried on one account.

use std::time::Duration;

use super::time::Timestamp;

/// Of the attempts made in `window`, at most `max_failures` count as failed or are not resolved yet. The last
/// failure of so many closes the account for `lockout` and uses them up: when it opens again, so many may fail
/// anew, though the window may not be over. Everyone together has so many, and each browser that has signed in
/// to the account before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptRules {
    /// So many, from 1.
    pub max_failures: u32,
    /// Within so long.
    pub window: Duration,
    /// For so long.
    pub lockout: Duration,
}

/// An attempt that is not resolved for so long belongs to a request that is over: no request lives
/// longer than half of it.
pub const RESOLVED_WITHIN: Duration = Duration::from_mins(1);

/// What stands in an attempt's way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Obstacles {
    /// Until when the account is closed.
    pub locked_until: Option<Timestamp>,
    /// When the attempt was made that must leave the window first.
    pub waits_for: Option<Timestamp>,
}

impl AttemptRules {
    /// How long to wait: until the lock ends, and enough attempts are out of the window. More than
    /// nothing.
    #[must_use]
    pub fn retry_after(&self, obstacles: Obstacles, now: Timestamp) -> Duration {
        let free_at = obstacles.waits_for.map(|at| at.plus(self.window)).max(obstacles.locked_until);
        free_at.unwrap_or(now).since(now).max(Duration::from_millis(1))
    }

    /// What was tried at that time or before counts no more.
    #[must_use]
    pub fn window_start(&self, now: Timestamp) -> Timestamp {
        now.minus(self.window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_waits_for_whatever_takes_longest() {
        let minutes = Duration::from_mins;
        let rules = AttemptRules { max_failures: 5, window: minutes(15), lockout: minutes(30) };
        let (now, at) = (Timestamp::from_secs(6000), Timestamp::from_secs);
        for (locked_until, waits_for, secs) in [
            (None, Some(5400), 300),
            (Some(6700), None, 700),
            (Some(6100), Some(5400), 300),
            (Some(6700), Some(5400), 700),
        ] {
            let obstacles = Obstacles { locked_until: locked_until.map(at), waits_for: waits_for.map(at) };
            assert_eq!(rules.retry_after(obstacles, now), Duration::from_secs(secs));
        }
        assert_eq!(rules.retry_after(Obstacles::default(), now), Duration::from_millis(1));
    }
}
