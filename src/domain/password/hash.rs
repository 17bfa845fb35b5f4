//! How passwords are kept: argon2id (RFC 9106) as a PHC string, at the configured cost, with a pepper if one is
//! configured.
//!
//! The pepper is argon2's own secret input `K` (§3.1), a key derived from `PASSWORD_PEPPER` for this alone, and the
//! string names it by argon2's own parameter `keyid`. So any argon2 that takes a secret can verify what stands in the
//! database, and no construction of ours stands between the password and the hash. What a thief of the database has is
//! then worth nothing without the secret, which is not there.
//!
//! A stored string that is not as one made now would be is *stale*: of another kind, at another cost, or under
//! another pepper. Who signs in with the right password gets a new one.
//!
//! Every check costs what the stored string costs, and as much as a new one would where there is nobody: whatever is
//! wrong. A stored string that costs less than half of that is made up to it.

use sha2::{Digest, Sha256};

use super::{
    Password,
    stored::{Argon2Hash, Reason, Stored},
};
use crate::domain::secret::SecretList;

/// Bytes of a salt (RFC 9106, §3.1 recommends 16).
pub const SALT_BYTES: usize = 16;
/// Bytes of a hash (RFC 9106, §4 recommends 32).
const HASH_BYTES: usize = 32;
/// Characters of a pepper's id: what argon2's `keyid` holds.
pub const MAX_PEPPER_ID: usize = 8;
/// What the pepper's key is for.
const PEPPER: &str = "edgewarden password pepper v1";
/// What the salt of a hash that takes the place of another is for.
const RENEWAL: &[u8] = b"edgewarden renewed password salt v1";

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

/// A fault of ours: nobody is signed in by it, and nobody is told that a password is wrong.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashFailure {
    /// The pepper was taken out of the configuration while hashes are made with it.
    #[error("a stored password hash is made with the pepper \"{0}\", which PASSWORD_PEPPER does not hold")]
    UnknownPepper(String),
    /// No hash, or one that is not computed.
    #[error("a stored password hash {0}")]
    Unusable(Reason),
    /// The hash function failed.
    #[error("password hashing failed: {0}")]
    Failed(String),
}

/// What a check says.
#[derive(Debug)]
pub enum Checked {
    /// Nobody's, or not theirs.
    Wrong,
    /// The right one.
    Right {
        /// What to make a new hash of, where the stored one is not as it would be made now.
        stale: Option<Stale>,
    },
}

/// A password that was right, whose hash is to be made anew.
#[derive(Debug)]
pub struct Stale {
    password: Password,
    salt: [u8; SALT_BYTES],
}

/// Makes and checks hashes as configured.
#[derive(Clone, Debug, Default)]
pub struct Hasher {
    cost: Cost,
    pepper: Option<SecretList>,
}

impl Hasher {
    /// At this cost, with the list's first pepper in new ones.
    #[must_use]
    pub const fn new(cost: Cost, pepper: Option<SecretList>) -> Self {
        Self { cost, pepper }
    }

    /// What a new one costs.
    #[must_use]
    pub const fn cost(&self) -> Cost {
        self.cost
    }

    /// Hashes a password to a PHC string. Takes tens of milliseconds by design.
    pub fn hash(&self, password: &Password, salt: &[u8; SALT_BYTES]) -> Result<String, HashFailure> {
        let mut made = self.blank(salt);
        made.hash = made.compute(password.as_bytes(), self.key(&made)?.as_ref()).map_err(HashFailure::Failed)?;
        Ok(made.to_string())
    }

    /// What stands where a hash does of an account that nobody signs in to, any more or yet. It is well-formed, so that a try
    /// costs what any does, and names no pepper, so that none has to be kept for it.
    #[must_use]
    pub fn unusable(&self) -> String {
        Argon2Hash { pepper: None, ..self.blank(&[0; SALT_BYTES]) }.to_string()
    }

    /// The hash that takes the place of a stale one. From one stale hash always the same is made, so that of two
    /// sign-ins at once neither finds that the other changed the password.
    pub fn renew(&self, stale: &Stale) -> Result<String, HashFailure> {
        self.hash(&stale.password, &stale.salt)
    }

    /// Whether what was typed is the password of a stored hash; `None` is nobody's, and costs the same.
    ///
    /// It is compared as it was typed, since other systems do not normalise, and, where NFKC makes it something else, as
    /// that: two hashes then, whoever exists.
    ///
    /// # Errors
    /// A stored string that cannot be verified. That costs the same, too.
    pub fn check(&self, stored: Option<&str>, typed: &str) -> Result<Checked, HashFailure> {
        let decoy = Stored::Argon2(self.blank(&[0; SALT_BYTES]));
        // A text that is too long to be a password is not hashed; an empty one in its place is.
        let (password, typed) = match Password::presented(typed) {
            Some(password) => (Some(password), typed),
            None => (None, ""),
        };
        let normal = password.as_ref().map_or(&[][..], Password::as_bytes);
        let Some(text) = stored else {
            self.is_of(&decoy, normal, typed)?;
            return Ok(Checked::Wrong);
        };
        let tried = Stored::parse(text).map_err(HashFailure::Unusable);
        let tried = tried.and_then(|found| Ok((self.is_of(&found, normal, typed)?, found)));
        if !tried.as_ref().is_ok_and(|(_, found)| found.work() * 2 >= self.cost.work()) {
            self.is_of(&decoy, normal, typed)?;
        }
        let (is_right, found) = tried?;
        let (true, Some(password)) = (is_right, password) else {
            return Ok(Checked::Wrong);
        };
        let stale = (!self.is_current(&found)).then(|| Stale { password, salt: renewal_salt(text) });
        Ok(Checked::Right { stale })
    }

    /// Whether either spelling is the password. Both are tried, so that one that is right costs what a wrong one does.
    fn is_of(&self, stored: &Stored, normal: &[u8], typed: &str) -> Result<bool, HashFailure> {
        let (key, typed) = (self.key_of(stored)?, typed.as_bytes());
        let matches = |text| stored.is_of(text, key.as_ref()).map_err(HashFailure::Failed);
        let as_typed = typed != normal && matches(typed)?;
        Ok(matches(normal)? || as_typed)
    }

    fn is_current(&self, stored: &Stored) -> bool {
        let Stored::Argon2(hash) = stored else {
            return false;
        };
        let wanted = self.blank(&[0; SALT_BYTES]);
        (hash.algorithm, hash.version, hash.cost, &hash.pepper, hash.hash.len())
            == (wanted.algorithm, wanted.version, wanted.cost, &wanted.pepper, wanted.hash.len())
            && hash.salt.len() >= SALT_BYTES
    }

    /// As a new hash is, with zero bits for the hash itself: finding a password for those is the attack on argon2.
    fn blank(&self, salt: &[u8; SALT_BYTES]) -> Argon2Hash {
        Argon2Hash {
            algorithm: argon2::Algorithm::Argon2id,
            version: argon2::Version::V0x13,
            cost: self.cost,
            pepper: self.pepper.as_ref().map(|list| list.current().id().to_owned()),
            salt: salt.to_vec(),
            hash: vec![0; HASH_BYTES],
        }
    }

    fn key_of(&self, stored: &Stored) -> Result<Option<[u8; 32]>, HashFailure> {
        match stored {
            Stored::Argon2(hash) => self.key(hash),
            _ => Ok(None),
        }
    }

    /// The key that went into a hash.
    fn key(&self, hash: &Argon2Hash) -> Result<Option<[u8; 32]>, HashFailure> {
        let Some(id) = hash.pepper.as_deref() else {
            return Ok(None);
        };
        let secret = self.pepper.as_ref().and_then(|list| list.find(id));
        secret.map(|secret| Some(secret.derive(PEPPER))).ok_or_else(|| HashFailure::UnknownPepper(id.to_owned()))
    }
}

/// A salt has to be another for each hash, no more; that of a stored hash, which holds one, is.
fn renewal_salt(stored: &str) -> [u8; SALT_BYTES] {
    let digest = Sha256::new().chain_update(RENEWAL).chain_update(stored).finalize();
    let mut salt = [0; SALT_BYTES];
    salt.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    salt
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHEAP: Cost = Cost { memory_kib: 64, iterations: 1, parallelism: 1 };
    const OLD: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const NEW: &str = "k2:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
    const RIGHT: &str = "Correct-Horse-7";

    fn with(peppers: &[&str]) -> Hasher {
        let list = (!peppers.is_empty()).then(|| SecretList::parse(&peppers.join(",")).unwrap());
        Hasher::new(CHEAP, list)
    }

    fn hash(hasher: &Hasher, text: &str) -> String {
        hasher.hash(&Password::presented(text).unwrap(), &[7; SALT_BYTES]).unwrap()
    }

    #[test]
    fn what_is_unusable_is_nobodys_and_faults_nothing() {
        for hasher in [with(&[]), with(&[OLD]), with(&[NEW])] {
            let unusable = with(&[OLD]).unusable();
            for typed in ["", RIGHT, &unusable] {
                assert_eq!(check(&hasher, &unusable, typed), None);
            }
        }
    }

    /// Whether it is right, and then whether it is stale.
    fn check(hasher: &Hasher, stored: &str, typed: &str) -> Option<bool> {
        match hasher.check(Some(stored), typed).unwrap() {
            Checked::Wrong => None,
            Checked::Right { stale } => Some(stale.is_some()),
        }
    }

    #[test]
    fn only_the_password_is_right() {
        let plain = with(&[]);
        let stored = hash(&plain, RIGHT);
        assert!(stored.starts_with("$argon2id$v=19$m=64,t=1,p=1$"), "{stored}");
        assert_eq!(check(&plain, &stored, RIGHT), Some(false));
        assert_eq!(check(&plain, &stored, "Correct-Horse-8"), None);
        assert_eq!(check(&plain, &stored, &"x".repeat(5000)), None);
        assert!(matches!(plain.check(None, RIGHT), Ok(Checked::Wrong)));
    }

    #[test]
    fn two_spellings_of_one_password_are_one() {
        let stored = hash(&with(&[]), "Caf\u{e9}-Noir-7");
        assert_eq!(check(&with(&[]), &stored, "Cafe\u{301}-Noir-7"), Some(false));
    }

    #[test]
    fn what_others_hashed_as_it_was_typed_is_right_as_it_was_typed() {
        // passlib's, of `e` and a combining accent.
        for stored in [
            "$2b$04$abcdefghijklmnopqrstuulYPvCApBsBMxF3QRSfbqZ7YoR.Tv29i",
            "$pbkdf2-sha256$1000$ZWRnZXdhcmRlbi1zYWx0IQ$RM50UK5rsEl47BcOmGFa0B6tWDg9igG9Zrq7X3Ijcso",
        ] {
            assert_eq!(check(&with(&[]), stored, "Cafe\u{301}-Noir-7"), Some(true));
            // Composed, it is another text to them. Once it was right, it is normalised for good.
            assert_eq!(check(&with(&[]), stored, "Caf\u{e9}-Noir-7"), None);
        }
    }

    #[test]
    fn no_cost_no_algorithm_and_no_pepper_but_the_configured_stays() {
        let (plain, old, rotated, new) = (with(&[]), with(&[OLD]), with(&[NEW, OLD]), with(&[NEW]));
        let (plain_hash, old_hash) = (hash(&plain, RIGHT), hash(&old, RIGHT));
        assert!(old_hash.contains(",p=1,keyid=azE$"), "{old_hash}");
        assert_ne!(plain_hash.rsplit('$').next(), old_hash.rsplit('$').next());
        assert_eq!(check(&old, &plain_hash, RIGHT), Some(true));
        assert_eq!(check(&old, &old_hash, RIGHT), Some(false));
        assert_eq!(check(&rotated, &old_hash, RIGHT), Some(true));
        assert_eq!(check(&rotated, &old_hash, "Correct-Horse-8"), None);
        let dearer = Hasher::new(Cost { iterations: 2, ..CHEAP }, None);
        assert_eq!(check(&dearer, &plain_hash, RIGHT), Some(true));
        assert_eq!(check(&plain, &hash(&dearer, RIGHT), RIGHT), Some(true));
        // Without its pepper it is neither right nor wrong.
        for hasher in [&plain, &new] {
            let failure = hasher.check(Some(&old_hash), RIGHT).unwrap_err();
            assert_eq!(failure, HashFailure::UnknownPepper("k1".to_owned()));
        }
    }

    /// The same from the reference implementation (argon2-cffi 25.1.0), with the key as its `secret`, and that made by
    /// Python's hmac as RFC 5869 says.
    #[test]
    fn any_argon2_that_takes_a_secret_makes_the_same_hash() {
        let made =
            "$argon2id$v=19$m=64,t=1,p=1,keyid=azE$BwcHBwcHBwcHBwcHBwcHBw$Yl40+iJY4cSIulMOlG+ItcHdtfczu+k2vKf6/rphcbQ";
        assert_eq!(hash(&with(&[OLD]), RIGHT), made);
    }

    #[test]
    fn of_one_stale_hash_one_new_one_is_made() {
        let (plain, peppered) = (with(&[]), with(&[OLD]));
        let stored = hash(&plain, RIGHT);
        let renew = || match peppered.check(Some(&stored), RIGHT).unwrap() {
            Checked::Right { stale: Some(stale) } => peppered.renew(&stale).unwrap(),
            other => panic!("{other:?}"),
        };
        assert_eq!(renew(), renew());
        assert_eq!(check(&peppered, &renew(), RIGHT), Some(false));
        assert_ne!(Stored::parse(&renew()), Stored::parse(&stored));
    }

    #[test]
    fn what_is_written_is_read_again() {
        for hasher in [with(&[]), with(&[OLD])] {
            let stored = hash(&hasher, RIGHT);
            let Ok(Stored::Argon2(read)) = Stored::parse(&stored) else { panic!("{stored}") };
            assert_eq!(read.to_string(), stored);
        }
    }

    #[test]
    fn absurd_or_foreign_strings_never_reach_the_hasher() {
        let absurd =
            "$argon2id$v=19$m=4194304,t=1,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for stored in ["", "x", "$2b$12$abc", "$argon2id$v=19$m=64,t=1,p=1$AAAA", absurd] {
            assert!(matches!(with(&[]).check(Some(stored), "x"), Err(HashFailure::Unusable(_))), "{stored}");
        }
    }
}
