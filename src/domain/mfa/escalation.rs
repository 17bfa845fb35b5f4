//! How often a second factor can be guessed.

use std::time::Duration;

/// Every so many wrong codes in a row close the account's sign-in, where they came from (see
/// [`AttemptRules`](crate::domain::attempts::AttemptRules)). In a row means since somebody last came in from there, however long ago that was:
/// who guesses slowly gets no further than who guesses fast.
pub const FAILURES: u32 = 5;
/// The longest that they close it for.
pub const LONGEST: Duration = Duration::from_hours(24);
/// So often it doubles at most; enough from the shortest `LOCKOUT` to the longest time.
pub const MOST_DOUBLINGS: u32 = 11;
/// A row of wrong codes is forgotten this long after the last one.
pub const FORGOTTEN_AFTER: Duration = Duration::from_hours(90 * 24);

/// For how long sign-in is closed: each time for twice as long.
#[derive(Clone, Copy, Debug)]
pub struct Escalation {
    /// The first time, if not after a wrong code.
    pub first: Duration,
}

impl Escalation {
    /// For how long it is closed after so many wrong codes in a row. What the database computes is the same.
    #[must_use]
    pub fn closes_for(self, failures: u32) -> Duration {
        let doublings = (failures / FAILURES).saturating_sub(1).min(MOST_DOUBLINGS);
        self.first.saturating_mul(1 << doublings).min(LONGEST.max(self.first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_time_is_twice_as_long_up_to_a_day() {
        let hours =
            |failures| Escalation { first: Duration::from_mins(30) }.closes_for(failures).as_secs_f64() / 3600.0;
        for (failures, expected) in
            [(0, 0.5), (5, 0.5), (9, 0.5), (10, 1.0), (15, 2.0), (30, 16.0), (35, 24.0), (5000, 24.0), (u32::MAX, 24.0)]
        {
            assert!((hours(failures) - expected).abs() < 1e-9, "{failures}");
        }
        let shortest = Escalation { first: Duration::from_mins(1) };
        assert_eq!(shortest.closes_for(u32::MAX), LONGEST);
        let longer = Escalation { first: Duration::from_hours(24) };
        assert_eq!(longer.closes_for(10), LONGEST);
    }

    /// What `docs/SECURITY.md` says of the chance to guess a code: three codes of a million are right at a time.
    #[test]
    fn the_chance_of_guessing() {
        let (mut failures, mut closed) = (0, Duration::ZERO);
        while closed < Duration::from_hours(24) {
            failures += FAILURES;
            closed += Escalation { first: Duration::from_mins(30) }.closes_for(failures);
        }
        assert_eq!(failures, 30, "in the first day; after it, five a day");
    }
}
