//! Passwords: what is accepted (NIST SP 800-63B §3.1.1, with the classic character classes as a
//! default that can be turned off) and how they are kept (argon2id, RFC 9106, as PHC strings).

use std::fmt;

use argon2::{
    Algorithm, Argon2, CustomizedPasswordHasher, Params, PasswordVerifier, Version, password_hash::phc::PasswordHash,
};
use unicode_normalization::UnicodeNormalization;

use super::user::{Email, FieldProblem, Username};

/// Passwords have at least this many characters after NFKC.
pub const MIN_CHARS: usize = 8;
/// And at most this many, so that hashing stays bounded.
pub const MAX_CHARS: usize = 128;
/// Bytes of a salt (RFC 9106, §3.1 recommends 16).
pub const SALT_BYTES: usize = 16;
/// The most memory one verification may take, in KiB: an isolate has 128 MB and wasm memory never shrinks.
pub const MAX_MEMORY_KIB: u32 = 64 * 1024;
/// A passphrase may not simply hold these.
const PRODUCT_NAME: &str = "edgewarden";

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

    /// A password somebody chooses, held against the policy. `classes` is how many of upper,
    /// lower, digit and other it must have (0 to 4).
    pub fn choose(
        text: &str,
        classes: u8,
        username: Option<&Username>,
        email: Option<&Email>,
    ) -> Result<Self, FieldProblem> {
        let password = Self::presented(text).ok_or("must have at most 128 characters")?;
        let chars = &password.0;
        if chars.chars().count() < MIN_CHARS {
            return Err("must have at least 8 characters");
        }
        let has = |test: fn(char) -> bool| u8::from(chars.chars().any(test));
        let found =
            has(char::is_uppercase) + has(char::is_lowercase) + has(char::is_numeric) + has(|c| !c.is_alphanumeric());
        if found < classes {
            return Err(match classes {
                4.. => "must hold an upper-case letter, a lower-case letter, a digit and another character",
                _ => "must mix more kinds of characters",
            });
        }
        let lower = chars.to_lowercase();
        let holds = |word: &str| word.len() >= 3 && lower.contains(&word.to_lowercase());
        if username.is_some_and(|name| holds(name.as_str())) {
            return Err("must not contain the username");
        }
        if email.is_some_and(|email| holds(email.local_part())) {
            return Err("must not contain the email address");
        }
        if holds(PRODUCT_NAME) {
            return Err("must not contain the product's name");
        }
        Ok(password)
    }
}

/// What one hash costs. The default is OWASP's minimum for argon2id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over it.
    pub iterations: u32,
    /// Lanes.
    pub parallelism: u32,
}

impl Default for Cost {
    fn default() -> Self {
        Self { memory_kib: 19_456, iterations: 2, parallelism: 1 }
    }
}

/// Hashing could not be done: the parameters or the stored string are not ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("password hashing failed: {0}")]
pub struct HashFailure(String);

impl Cost {
    fn params(self) -> Result<Params, HashFailure> {
        Params::new(self.memory_kib, self.iterations, self.parallelism, None).map_err(failure)
    }

    /// Hashes a password to a PHC string. Takes tens of milliseconds by design.
    pub fn hash(self, password: &Password, salt: &[u8; SALT_BYTES]) -> Result<String, HashFailure> {
        let hasher = Argon2::new(Algorithm::Argon2id, Version::V0x13, self.params()?);
        let hash: PasswordHash = hasher
            .hash_password_customized(password.0.as_bytes(), salt, None, None, self.params()?)
            .map_err(failure)?;
        Ok(hash.to_string())
    }

    /// A hash that no password matches, which costs as much to try as a real one: what an
    /// unknown user is checked against.
    #[must_use]
    pub fn decoy(self) -> String {
        let Self { memory_kib, iterations, parallelism } = self;
        // The salt and hash of RFC 9106's shape, all zero bits: finding a preimage is the attack on argon2.
        format!(
            "$argon2id$v=19$m={memory_kib},t={iterations},p={parallelism}$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
        )
    }
}

/// Whether the password is the one behind a stored PHC string.
///
/// # Errors
/// A string that is not an argon2 PHC string within [`MAX_MEMORY_KIB`].
pub fn verify(phc: &str, password: &Password) -> Result<bool, HashFailure> {
    let hash = PasswordHash::new(phc).map_err(failure)?;
    let params = Params::try_from(&hash).map_err(failure)?;
    if params.m_cost() > MAX_MEMORY_KIB {
        return Err(HashFailure("the stored hash takes too much memory".to_owned()));
    }
    match Argon2::default().verify_password(password.0.as_bytes(), &hash) {
        Ok(()) => Ok(true),
        Err(argon2::password_hash::Error::PasswordInvalid) => Ok(false),
        Err(error) => Err(failure(error)),
    }
}

fn failure(error: impl fmt::Display) -> HashFailure {
    HashFailure(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };

    fn choose(text: &str) -> Result<Password, FieldProblem> {
        let (name, email) = (Username::parse("ada").unwrap(), Email::parse("countess@example.org").unwrap());
        Password::choose(text, 4, Some(&name), Some(&email))
    }

    #[test]
    fn policy() {
        assert!(choose("Correct-Horse-7").is_ok());
        for (bad, why) in [
            ("Sh0rt-x", "at least 8"),
            ("alllowercase-7", "upper-case"),
            ("NoDigitsHere-", "digit"),
            ("NoOthers77aa", "another"),
            ("xAdA-12345678", "username"),
            ("Countess-1234", "email"),
            ("Edgewarden-1234", "product"),
        ] {
            let problem = choose(bad).unwrap_err();
            assert!(problem.contains(why), "{bad}: {problem}");
        }
        assert!(Password::choose("alllowercase", 0, None, None).is_ok());
    }

    #[test]
    fn length_counts_characters_after_nfkc_and_nothing_is_cut() {
        let long = format!("Aa1-{}", "é".repeat(124));
        assert!(choose(&long).is_ok());
        assert!(choose(&format!("{long}é")).is_err());
        // U+FDFA is one character that NFKC makes eighteen.
        assert!(choose(&format!("Aa1-{}", "\u{fdfa}".repeat(7))).is_err());
        assert!(Password::presented(&"x".repeat(1_000_000)).is_none());
    }

    #[test]
    fn two_spellings_of_one_password_are_one() {
        let composed = Password::presented("Caf\u{e9}-Noir-7").unwrap();
        let decomposed = Password::presented("Cafe\u{301}-Noir-7").unwrap();
        let phc = CHEAP.hash(&composed, &[7; 16]).unwrap();
        assert_eq!(verify(&phc, &decomposed), Ok(true));
    }

    #[test]
    fn only_the_password_verifies() {
        let right = Password::presented("Correct-Horse-7").unwrap();
        let phc = CHEAP.hash(&right, &[7; 16]).unwrap();
        assert!(phc.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{phc}");
        assert_eq!(verify(&phc, &right), Ok(true));
        assert_eq!(verify(&phc, &Password::presented("Correct-Horse-8").unwrap()), Ok(false));
    }

    #[test]
    fn the_decoy_is_a_real_hash_that_nothing_matches() {
        let password = Password::presented("Correct-Horse-7").unwrap();
        assert_eq!(verify(&CHEAP.decoy(), &password), Ok(false));
        assert_eq!(verify(&Cost::default().decoy(), &password), Ok(false));
    }

    #[test]
    fn absurd_or_foreign_strings_never_reach_the_hasher() {
        let password = Password::presented("x").unwrap();
        let decoy = Cost { memory_kib: 4 * 1024 * 1024, ..CHEAP }.decoy();
        for phc in ["", "x", "$2b$12$abc", "$argon2id$v=19$m=64,t=1,p=1$AAAA", &decoy] {
            assert!(verify(phc, &password).is_err(), "{phc}");
        }
    }
}
