//! One-time passwords: HOTP with the clock as counter (RFC 4226, RFC 6238), as every authenticator app computes them
//! without being told anything: SHA-1, six digits, steps of 30 seconds.

use std::ops::RangeInclusive;

use totp_rs::{Algorithm, Builder, Secret, Totp};

use crate::domain::time::Timestamp;

/// A step, in seconds (RFC 6238, §5.2).
const STEP_SECS: u64 = 30;
/// So many steps before and after now are taken: clocks differ, and people type (RFC 6238, §5.2).
const SKEW: u16 = 1;
const DIGITS: u8 = 6;

/// A step of the clock: so many half minutes since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Step(u64);

impl Step {
    /// The one that is now.
    #[must_use]
    pub fn at(now: Timestamp) -> Self {
        Self(u64::try_from(now.secs()).unwrap_or(0) / STEP_SECS)
    }

    /// Those whose codes are taken now.
    #[must_use]
    pub fn taken_at(now: Timestamp) -> RangeInclusive<Self> {
        let Self(step) = Self::at(now);
        Self(step.saturating_sub(SKEW.into()))..=Self(step.saturating_add(SKEW.into()))
    }

    /// All from the first of these to the last.
    pub fn each(range: RangeInclusive<Self>) -> impl Iterator<Item = Self> {
        (range.start().0..=range.end().0).map(Self)
    }

    /// The one so many steps earlier.
    #[must_use]
    pub const fn before(self, steps: u64) -> Self {
        Self(self.0.saturating_sub(steps))
    }

    /// The one so many steps later.
    #[must_use]
    pub const fn after(self, steps: u64) -> Self {
        Self(self.0.saturating_add(steps))
    }

    /// As stores keep it.
    #[must_use]
    pub fn number(self) -> i64 {
        i64::try_from(self.0).unwrap_or(i64::MAX)
    }
}

/// What an authenticator app and we both know: 160 bits (RFC 4226, §4, R6).
#[derive(Clone, PartialEq, Eq)]
pub struct TotpSecret([u8; Self::BYTES]);

impl TotpSecret {
    /// How many bytes it has.
    pub const BYTES: usize = 20;

    /// Of random bytes.
    #[must_use]
    pub const fn new(random: [u8; Self::BYTES]) -> Self {
        Self(random)
    }

    /// Of bytes that were kept; `None` if they are too many or too few.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// Its bytes, to be sealed.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }

    /// As it is typed into an app that has no camera: base32 (RFC 4648, §6) without padding.
    #[must_use]
    pub fn base32(&self) -> String {
        Secret::new_stack(self.0).to_base32()
    }

    /// The code of a step.
    #[must_use]
    pub fn code(&self, step: Step) -> String {
        self.totp("", "").generate(step.0.saturating_mul(STEP_SECS)).to_string()
    }

    /// The step that a code is of, if that is taken now.
    #[must_use]
    pub fn step_of(&self, code: &str, now: Timestamp) -> Option<Step> {
        self.totp("", "").check(code, Step::at(now).0.saturating_mul(STEP_SECS)).map(Step)
    }

    /// What an app is given to know us by: an `otpauth://` URI with the issuer before the account and again as a
    /// parameter, as apps of old want the one and new ones the other. A colon is what parts the two, so that neither
    /// can hold one.
    #[must_use]
    pub fn uri(&self, issuer: &str, account: &str) -> Option<String> {
        self.totp(&without_colon(issuer), &without_colon(account)).to_url().ok()
    }

    fn totp(&self, issuer: &str, account: &str) -> Totp {
        Builder::new()
            .with_algorithm(Algorithm::SHA1)
            .with_digits(DIGITS)
            .with_skew(SKEW)
            .with_step_duration(STEP_SECS)
            .with_secret(Secret::new_stack(self.0))
            .with_issuer(Some(issuer))
            .with_account_name(account)
            .build_noncompliant()
    }
}

fn without_colon(text: &str) -> String {
    text.replace(':', " ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The secret of the RFCs' examples.
    fn example() -> TotpSecret {
        TotpSecret::new(*b"12345678901234567890")
    }

    /// RFC 4226, appendix D.
    #[test]
    fn the_vectors_of_rfc_4226() {
        let codes =
            ["755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871", "520489"];
        for (count, code) in (0..).zip(codes) {
            assert_eq!(example().code(Step(count)), code, "{count}");
        }
    }

    /// RFC 6238, appendix B, SHA-1: eight digits there, of which the last six are the code of six.
    #[test]
    fn the_vectors_of_rfc_6238() {
        for (secs, code) in [
            (59, "94287082"),
            (1_111_111_109, "07081804"),
            (1_111_111_111, "14050471"),
            (1_234_567_890, "89005924"),
            (2_000_000_000, "69279037"),
            (20_000_000_000, "65353130"),
        ] {
            let now = Timestamp::from_secs(secs);
            assert_eq!(example().code(Step::at(now)), code[2..], "{secs}");
            assert_eq!(example().step_of(&code[2..], now), Some(Step::at(now)), "{secs}");
        }
    }

    #[test]
    fn one_step_before_and_after_is_taken_and_no_more() {
        let now = Timestamp::from_secs(1_767_225_615);
        let at = |steps: i64| {
            let moved = Duration::from_secs(30 * steps.unsigned_abs());
            Step::at(if steps < 0 { now.minus(moved) } else { now.plus(moved) })
        };
        for steps in -3..=3 {
            let code = example().code(at(steps));
            let taken = example().step_of(&code, now);
            assert_eq!(taken, (-1..=1).contains(&steps).then(|| at(steps)), "{steps}");
        }
        assert_eq!(Step::taken_at(now), at(-1)..=at(1));
        assert_eq!(Step::each(at(-1)..=at(1)).count(), 3);
        assert_eq!(Step::taken_at(Timestamp::from_secs(0)), Step(0)..=Step(1));
        for bad in ["", "12345", "1234567", "+12345", "12345x", "１２３４５６"] {
            assert_eq!(example().step_of(bad, now), None, "{bad}");
        }
    }

    #[test]
    fn an_app_is_told_the_issuer_twice_and_everything_is_escaped() {
        let uri = example().uri("Example & Co: Ltd", "a+b:c@example.org").unwrap();
        let read = Totp::from_url(&uri).unwrap();
        assert_eq!((read.issuer(), read.account_name()), (Some("Example & Co  Ltd"), "a+b c@example.org"));
        assert_eq!(read.generate(59).to_string(), "287082");
        assert_eq!(
            uri,
            "otpauth://totp/Example%20%26%20Co%20%20Ltd:a%2Bb%20c%40example.org\
             ?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ&issuer=Example%20%26%20Co%20%20Ltd"
        );
        assert_eq!(example().base32(), "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }
}
