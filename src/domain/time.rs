//! Points in time, as the product counts them: milliseconds since the Unix epoch, UTC.

use std::time::Duration;

use chrono::{DateTime, Datelike, SecondsFormat, Timelike, Utc};
use serde::{Deserialize, Serialize};

/// A point in time in milliseconds since the Unix epoch.
#[derive(Clone, Copy, Debug, Default, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(i64);

impl Timestamp {
    /// From milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// From whole seconds since the Unix epoch (a JWT `NumericDate`).
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the Unix epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This much later.
    #[must_use]
    pub fn plus(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(millis(duration)))
    }

    /// This much earlier.
    #[must_use]
    pub fn minus(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(millis(duration)))
    }

    /// How long after `earlier` this is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// As RFC 3339 in UTC with milliseconds, for example `2026-01-31T12:00:00.000Z`.
    #[must_use]
    pub fn rfc3339(self) -> String {
        DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default().to_rfc3339_opts(SecondsFormat::Millis, true)
    }
}

/// Milliseconds of a day.
const DAY: i64 = 86_400_000;

impl Timestamp {
    /// How many whole days lie between the Unix epoch and this day, UTC.
    #[must_use]
    pub const fn day(self) -> i64 {
        self.0.div_euclid(DAY)
    }

    /// When such a day begins.
    #[must_use]
    pub const fn of_day(day: i64) -> Self {
        Self(day.saturating_mul(DAY))
    }

    /// The day alone, as RFC 3339 has it: `2026-01-31`.
    #[must_use]
    pub fn date(self) -> String {
        let mut text = self.rfc3339();
        text.truncate(10);
        text
    }
}

/// No later time is taken from outside: 2100-01-01T00:00:00Z.
const MAX_GIVEN: Timestamp = Timestamp::from_secs(4_102_444_800);

impl Timestamp {
    /// Reads a time of RFC 3339, with any offset, between 1970 and 2100.
    #[must_use]
    pub fn parse_rfc3339(text: &str) -> Option<Self> {
        let time = Self(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis());
        (Self::default()..=MAX_GIVEN).contains(&time).then_some(time)
    }
}

/// Written out here: the library's own formatting by pattern weighs more than a mail.
const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

impl Timestamp {
    /// For people, to the minute, for example `31 January 2026, 12:00 UTC`.
    #[must_use]
    pub fn for_people(self) -> String {
        let time = DateTime::<Utc>::from_timestamp_millis(self.0).unwrap_or_default();
        let month = usize::try_from(time.month0()).ok().and_then(|month| MONTHS.get(month)).unwrap_or(&"");
        format!("{} {month} {}, {:02}:{:02} UTC", time.day(), time.year(), time.hour(), time.minute())
    }
}

/// A duration in whole milliseconds, saturating.
#[must_use]
pub fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_begin_at_midnight_utc() {
        let noon = Timestamp::parse_rfc3339("2026-01-31T23:59:59.999Z").unwrap();
        assert_eq!(
            (noon.date().as_str(), noon.plus(Duration::from_millis(1)).date().as_str()),
            ("2026-01-31", "2026-02-01")
        );
        assert_eq!(Timestamp::of_day(noon.day()).rfc3339(), "2026-01-31T00:00:00.000Z");
    }

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp::from_millis(1999).secs(), 1);
        assert_eq!(Timestamp::from_millis(-1).secs(), -1);
    }

    #[test]
    fn since_never_goes_negative() {
        let (a, b) = (Timestamp::from_secs(1), Timestamp::from_secs(3));
        assert_eq!(b.since(a), Duration::from_secs(2));
        assert_eq!(a.since(b), Duration::ZERO);
    }

    #[test]
    fn people_read_months() {
        for (millis, told) in [(0, "1 January 1970, 00:00 UTC"), (1_798_761_599_999, "31 December 2026, 23:59 UTC")] {
            assert_eq!(Timestamp::from_millis(millis).for_people(), told);
        }
    }

    #[test]
    fn what_others_write_is_read_whatever_its_offset() {
        let parse = |text: &str| Timestamp::parse_rfc3339(text).map(Timestamp::millis);
        assert_eq!(parse("2026-01-01T00:00:00.007Z"), Some(1_767_225_600_007));
        assert_eq!(parse("2026-01-01T01:30:00+01:30"), Some(1_767_225_600_000));
        for bad in
            ["", "2026-01-01", "2026-01-01T00:00:00", "1969-12-31T23:59:59Z", "2101-01-01T00:00:00Z", "1767225600"]
        {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn text_is_rfc_3339_utc() {
        assert_eq!(Timestamp::from_millis(1_767_225_600_007).rfc3339(), "2026-01-01T00:00:00.007Z");
    }
}
