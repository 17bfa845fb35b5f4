//! Times and durations in words, for people.

use std::time::Duration;

/// A duration in the largest unit that divides it.
#[must_use]
pub fn duration(duration: Duration) -> String {
    let secs = duration.as_secs();
    let units = [(86_400, "day"), (3600, "hour"), (60, "minute")];
    let fitting = units.into_iter().find(|(unit, _)| secs >= *unit && secs.is_multiple_of(*unit));
    let (count, name) = fitting.map_or((secs, "second"), |(unit, name)| (secs / unit, name));
    format!("{count} {name}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (secs, told) in
            [(1800, "30 minutes"), (3600, "1 hour"), (86_400, "1 day"), (90_000, "25 hours"), (90, "90 seconds")]
        {
            assert_eq!(duration(Duration::from_secs(secs)), told);
        }
    }
}
