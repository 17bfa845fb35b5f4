//! What a referee's storage holds is bounded by what its windows hold: which rows are to be deleted, and when
//! its alarm must go off.

use std::time::Duration;

use super::{Logs, Row};
use crate::domain::time::Timestamp;

/// So many rows of a counter may be over before they are deleted, in one statement.
const MANY: usize = 64;
/// An alarm that goes off again waits for so long.
const ALARM_PAUSE: Duration = Duration::from_mins(1);

/// Rows to delete: of this counter, those of this time and before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sweep {
    /// Of which log.
    pub counter: String,
    /// Up to when, in milliseconds since the Unix epoch.
    pub at: i64,
}

/// When the alarm must go off, if that is not as it is set: as soon as what was just written may be over. One
/// that is set is put forward only if a pause lies before it.
#[must_use]
pub fn earlier_alarm(set: Option<Timestamp>, written: &[Row], now: Timestamp) -> Option<Timestamp> {
    let over_at = Timestamp::from_millis(written.iter().map(|row| row.until).min()?);
    match set {
        None => Some(over_at),
        Some(set) => Some(over_at.max(now.plus(ALARM_PAUSE))).filter(|at| *at < set),
    }
}

impl Logs {
    /// What to delete after an admission, before its own rows are written: of each counter what was forgotten,
    /// once that is many.
    #[must_use]
    pub fn sweeps(&mut self) -> Vec<Sweep> {
        let sweep = |(counter, log): (&String, &mut super::Log)| {
            log.sweep(MANY).map(|at| Sweep { counter: counter.clone(), at })
        };
        self.0.iter_mut().filter_map(sweep).collect()
    }

    /// When the alarm must go off again: as soon as a counter is over that is not yet, but not at once. `None` if
    /// all are over, or there is none: nothing here can matter any more.
    #[must_use]
    pub fn next_alarm(&self, now: Timestamp) -> Option<Timestamp> {
        let ends = self.0.values().filter_map(super::Log::over_at).filter(|over_at| *over_at > now.millis());
        ends.min().map(|over_at| Timestamp::from_millis(over_at).max(now.plus(ALARM_PAUSE)))
    }

    /// Forgets what is over at a time that is not after [`Logs::newest`]; the caller deletes all such rows.
    pub fn forget(&mut self, at: Timestamp) {
        self.0.retain(|_, log| {
            log.forget(at.millis());
            let _ = log.sweep(0);
            log.newest().is_some()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::rate_limit::{Limit, Rule};

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn per_second(limit: u32) -> Limit {
        Limit::new("brief", [Rule { limit, window_ms: 1000 }])
    }

    #[test]
    fn what_is_over_is_forgotten() {
        let (mut logs, limit) = (Logs::default(), per_second(5));
        assert_eq!(logs.next_alarm(at(0)), None);
        let _ = logs.admit(&[limit], at(7));
        let _ = logs.admit(&[Limit::new("other", [Rule { limit: 5, window_ms: 200_000 }])], at(900));
        logs.forget(at(1006));
        assert_eq!(logs.rows().len(), 2);
        logs.forget(at(1007));
        assert_eq!(logs.rows().len(), 1);
    }

    #[test]
    fn rows_that_are_over_are_deleted_once_they_are_many() {
        let (mut logs, limit) = (Logs::default(), [per_second(100)]);
        for now in 0..65 {
            assert!(logs.admit(&limit, at(now)).0.admitted);
        }
        let _ = logs.admit(&limit, at(1063));
        assert_eq!(logs.sweeps(), [], "64 are not many");
        let _ = logs.admit(&limit, at(1064));
        assert_eq!(logs.sweeps(), [Sweep { counter: "brief".into(), at: 64 }]);
        assert_eq!(logs.sweeps(), [], "once");
    }

    #[test]
    fn the_alarm_goes_off_for_whoever_is_over_first_but_not_all_the_time() {
        let row = |until| Row { counter: "brief".into(), at: 0, weight: 1, until };
        let rows = [row(90_000), row(70_000)];
        for (set, alarm) in [
            (None, Some(70_000)),
            (Some(200_000), Some(70_000)),
            (Some(70_001), Some(70_000)),
            (Some(70_000), None),
            (Some(5), None),
        ] {
            assert_eq!(earlier_alarm(set.map(at), &rows, at(0)), alarm.map(at), "{set:?}");
        }
        assert_eq!(earlier_alarm(Some(at(200_000)), &[row(1000)], at(0)), Some(at(60_000)));
        assert_eq!(earlier_alarm(Some(at(60_000)), &[row(1000)], at(0)), None);
        assert_eq!(earlier_alarm(None, &[], at(0)), None);

        let mut logs = Logs::default();
        let day = Limit::new("day", [Rule { limit: 5, window_ms: 86_400_000 }]);
        let _ = logs.admit(&[per_second(5), day], at(0));
        assert_eq!(logs.next_alarm(at(0)), Some(at(60_000)));
        assert_eq!(logs.next_alarm(at(60_000)), Some(at(86_400_000)), "the brief one is over");
        assert_eq!(logs.next_alarm(at(86_400_000)), None);
    }
}
