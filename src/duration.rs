//! Durations as people write them in variables and policies: `30s`, `15m`, `24 h`, `7d`; a bare
//! number is seconds.

use std::time::Duration;

/// A text that is not a duration.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("must be a whole number and a unit: 30s, 15m, 24h or 7d")]
pub struct NotADuration;

/// Reads a duration.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let text = text.trim();
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits).ok_or(NotADuration)?;
    let number: u32 = number.parse().map_err(|_| NotADuration)?;
    let unit_secs: u64 = match unit.trim() {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err(NotADuration),
    };
    u64::from(number).checked_mul(unit_secs).map(Duration::from_secs).ok_or(NotADuration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, secs) in [("0", 0), ("45", 45), ("30s", 30), ("15 m", 900), ("24h", 86_400), (" 7d ", 604_800)] {
            assert_eq!(parse(text), Ok(Duration::from_secs(secs)), "{text}");
        }
        for bad in ["", "s", "-1s", "1.5h", "10 weeks", "1h30m", "99999999999s", "１５m"] {
            assert_eq!(parse(bad), Err(NotADuration), "{bad}");
        }
    }
}
