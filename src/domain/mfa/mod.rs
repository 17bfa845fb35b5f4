//! The second factor: time-based one-time passwords (RFC 6238) from an authenticator app, and recovery codes for who has
//! lost it.
//!
//! A code is right once. Which step of the clock was used last is kept beside the secret, and whatever a code is right
//! for is written in the batch that moves it on; a recovery code is used up in the same way. What can be guessed is
//! bounded by [`escalation`].

mod challenge;
mod code;
pub mod escalation;
mod qr;
mod recovery;
mod totp;

pub use challenge::{Expected, MAX_TRIES, MfaToken};
pub use code::Code;
pub use qr::svg_data_uri;
pub use recovery::{CODES, RecoveryCodes, RecoveryDigest};
pub use totp::{Step, TotpSecret};

/// How a one-time password is told in `amr` (RFC 8176, §2).
pub const ONE_TIME_PASSWORD: &str = "otp";
/// How a recovery code is told in `amr`; RFC 8176 has no word for it.
pub const RECOVERY_CODE: &str = "rec";

/// Whether a sign-in that is told so had a second factor.
#[must_use]
pub fn has_second_factor(amr: &[String]) -> bool {
    amr.iter().any(|method| method == ONE_TIME_PASSWORD || method == RECOVERY_CODE)
}
