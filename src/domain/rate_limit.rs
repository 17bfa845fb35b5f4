//! Exact sliding-window limits: in any window of a rule's length, at most `limit` admissions.
//!
//! One key has one log of admission times, and all rules of a request are decided on it at once:
//! either every rule admits and one entry is added, or nothing changes.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::{Timestamp, millis};

/// At most `limit` admissions in any window of `window`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Admissions per window, at least 1.
    pub limit: u32,
    /// The window's length in milliseconds.
    pub window_ms: u32,
}

impl Rule {
    /// A rule of `limit` per `window`.
    #[must_use]
    pub fn new(limit: u32, window: Duration) -> Self {
        Self { limit, window_ms: u32::try_from(millis(window)).unwrap_or(u32::MAX) }
    }

    const fn window(self) -> Duration {
        Duration::from_millis(self.window_ms as u64)
    }
}

/// When one key was admitted: ascending, as far back as the longest rule looks.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Log(Vec<i64>);

/// What a limiter says of one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// Whether the request may go on.
    pub admitted: bool,
    /// The limit of the tightest rule.
    pub limit: u32,
    /// What that rule has left after this request.
    pub remaining: u32,
    /// When that rule has its next admission to give back, in milliseconds since the Unix epoch.
    pub reset_ms: i64,
    /// When refused: how many milliseconds until every rule would admit again; otherwise 0.
    pub retry_after_ms: i64,
}

impl Log {
    /// Decides on one request at `now`. On a refusal the log is unchanged, and there is nothing to
    /// write.
    #[must_use]
    pub fn admit(&mut self, rules: &[Rule], now: Timestamp) -> Decision {
        // A clock that stepped back must not let anyone in early: time goes on from the newest entry.
        let now = self.0.last().map_or(now, |&last| now.max(Timestamp::from_millis(last)));
        let retry_after_ms = rules.iter().map(|rule| self.wait(*rule, now)).max().unwrap_or(0);
        let admitted = retry_after_ms == 0;
        if admitted {
            let horizon = rules.iter().map(|rule| rule.window_ms).max().unwrap_or(0);
            let oldest = now.minus(Duration::from_millis(horizon.into())).millis();
            self.0.retain(|&at| at > oldest);
            self.0.push(now.millis());
        }
        let tightest = rules
            .iter()
            .map(|rule| self.state(*rule, now))
            .min_by_key(|state| (state.remaining, std::cmp::Reverse(state.reset_ms)));
        let State { limit, remaining, reset_ms } =
            tightest.unwrap_or(State { limit: 0, remaining: 0, reset_ms: now.millis() });
        Decision { admitted, limit, remaining, reset_ms, retry_after_ms }
    }

    /// When nothing in the log can matter to any of the rules any more.
    #[must_use]
    pub fn forgettable_at(&self, rules: &[Rule]) -> Option<Timestamp> {
        let horizon = rules.iter().map(|rule| rule.window_ms).max()?;
        self.0.last().map(|&last| Timestamp::from_millis(last).plus(Duration::from_millis(horizon.into())))
    }

    /// The admissions inside the window that ends at `now`: times in `(now - window, now]`.
    fn inside(&self, rule: Rule, now: Timestamp) -> &[i64] {
        let start = now.minus(rule.window()).millis();
        self.0.get(self.0.partition_point(|&at| at <= start)..).unwrap_or(&[])
    }

    /// How many milliseconds until `rule` would admit.
    fn wait(&self, rule: Rule, now: Timestamp) -> i64 {
        let inside = self.inside(rule, now);
        let limit = usize::try_from(rule.limit).unwrap_or(usize::MAX);
        // With `limit` or more inside, the admission that must leave is the limit-th from the end.
        match inside.len().checked_sub(limit).and_then(|index| inside.get(index)) {
            Some(&at) => Timestamp::from_millis(at).plus(rule.window()).millis().saturating_sub(now.millis()).max(1),
            None if limit == 0 => i64::from(rule.window_ms),
            None => 0,
        }
    }

    fn state(&self, rule: Rule, now: Timestamp) -> State {
        let inside = self.inside(rule, now);
        let used = u32::try_from(inside.len()).unwrap_or(u32::MAX);
        let reset_ms = inside.first().map_or(now, |&at| Timestamp::from_millis(at).plus(rule.window())).millis();
        State { limit: rule.limit, remaining: rule.limit.saturating_sub(used), reset_ms }
    }
}

struct State {
    limit: u32,
    remaining: u32,
    reset_ms: i64,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    const FIVE_PER_SECOND: Rule = Rule { limit: 5, window_ms: 1000 };

    #[test]
    fn the_sixth_in_a_window_is_refused_until_the_first_leaves_it() {
        let mut log = Log::default();
        for i in 0..5 {
            let decision = log.admit(&[FIVE_PER_SECOND], at(i * 10));
            assert!(decision.admitted);
            assert_eq!(i64::from(decision.remaining), 4 - i);
        }
        let before = log.clone();
        let refused = log.admit(&[FIVE_PER_SECOND], at(50));
        assert_eq!((refused.admitted, refused.remaining, refused.reset_ms), (false, 0, 1000));
        assert_eq!(refused.retry_after_ms, 950);
        assert_eq!(log, before, "a refusal writes nothing");
        assert!(!log.admit(&[FIVE_PER_SECOND], at(999)).admitted);
        assert!(log.admit(&[FIVE_PER_SECOND], at(1000)).admitted);
    }

    #[test]
    fn several_rules_admit_together_or_not_at_all() {
        let rules = [FIVE_PER_SECOND, Rule { limit: 6, window_ms: 10_000 }];
        let mut log = Log::default();
        for i in 0..5 {
            assert!(log.admit(&rules, at(i)).admitted);
        }
        assert!(log.admit(&rules, at(2000)).admitted);
        let refused = log.admit(&rules, at(3000));
        assert_eq!((refused.admitted, refused.limit, refused.retry_after_ms), (false, 6, 7000));
        assert!(log.admit(&rules, at(10_000)).admitted);
    }

    #[test]
    fn a_clock_that_steps_back_lets_nobody_in_early() {
        let mut log = Log::default();
        for _ in 0..5 {
            assert!(log.admit(&[FIVE_PER_SECOND], at(10_000)).admitted);
        }
        assert!(!log.admit(&[FIVE_PER_SECOND], at(1_000)).admitted);
        assert!(log.admit(&[FIVE_PER_SECOND], at(11_000)).admitted);
    }

    #[test]
    fn it_can_be_forgotten_when_the_longest_window_is_over() {
        let mut log = Log::default();
        assert_eq!(log.forgettable_at(&[FIVE_PER_SECOND]), None);
        let _ = log.admit(&[FIVE_PER_SECOND], at(7));
        assert_eq!(log.forgettable_at(&[FIVE_PER_SECOND]), Some(at(1007)));
    }
}
