//! Passwords: what is accepted ([`policy`]: NIST SP 800-63B §3.1.1, with the classic character classes
//! as a default that can be turned off), how they are kept ([`hash`]: argon2id, RFC 9106, as PHC
//! strings), and what other systems' hashes are understood ([`stored`]).
//!
//! A password is never cut, never shown, and never hashed at a cost that a stored string alone decides.

mod common;
pub mod hash;
pub mod policy;
pub mod stored;

use std::fmt;

use unicode_normalization::UnicodeNormalization;

pub use self::{
    hash::{Checked, Cost, HashFailure, Hasher, SALT_BYTES, Stale},
    policy::{MAX_CHARS, MIN_CHARS},
    stored::ImportedHash,
};

/// A password as typed, normalised (NFKC) and never shown.
#[derive(Clone)]
pub struct Password(String);

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl Password {
    /// A password somebody signs in with. `None` if it is longer than any password can be: such
    /// a text cannot match and must not be hashed.
    #[must_use]
    pub fn presented(text: &str) -> Option<Self> {
        // NFKC can make one character eighteen, so the bound before it is on bytes.
        if text.len() > MAX_CHARS * 16 {
            return None;
        }
        let normal: String = text.nfkc().collect();
        (normal.chars().count() <= MAX_CHARS).then_some(Self(normal))
    }

    /// Whether two are the same.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0 == other.0
    }

    fn as_bytes(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_sees_one() {
        assert_eq!(format!("{:?}", Password::presented("Correct-Horse-7")), "Some(Password(…))");
        assert!(Password::presented(&"x".repeat(1_000_000)).is_none());
    }
}
