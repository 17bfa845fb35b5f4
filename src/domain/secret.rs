//! Secrets from configuration, and what is derived from them.
//!
//! A secret is a list `id:value,id:value`: the first makes new things, all are accepted, so that
//! each can be rotated without a gap.

use std::fmt;

use hkdf::Hkdf;
use hmac::{
    Hmac, Mac,
    digest::{Key, KeyInit},
};
use sha2::Sha256;

/// An id has no more characters.
pub const MAX_ID_CHARS: usize = 16;
/// A value has at least this many bytes.
pub const MIN_SECRET_BYTES: usize = 32;
/// Fewer distinct bytes than this in a secret is a placeholder, not randomness.
const MIN_DISTINCT_BYTES: usize = 10;

/// One secret with the id that tokens and sealed values name it by.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    id: String,
    value: String,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({}, …)", self.id)
    }
}

/// A rotatable secret: never empty, ids are unique.
#[derive(Clone, Debug)]
pub struct SecretList {
    current: Secret,
    older: Vec<Secret>,
}

/// Why a configured secret cannot be used.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SecretProblem {
    /// Not `id:value,id:value`.
    #[error("must be a list id:value,id:value with ids of 1 to 16 letters, digits, - or _")]
    Shape,
    /// Too short to be a key.
    #[error("has a value under 32 bytes")]
    Short,
    /// A placeholder or a repeated pattern.
    #[error("looks like a placeholder, not like random bytes")]
    Placeholder,
    /// One id, two values.
    #[error("names an id twice")]
    DuplicateId,
}

impl SecretList {
    /// Reads `id:value,id:value`.
    pub fn parse(text: &str) -> Result<Self, SecretProblem> {
        let mut secrets = text.split(',').map(|entry| Secret::parse(entry.trim()));
        let current = secrets.next().ok_or(SecretProblem::Shape)??;
        let older = secrets.collect::<Result<Vec<_>, _>>()?;
        let list = Self { current, older };
        let mut ids: Vec<_> = list.all().map(Secret::id).collect();
        ids.sort_unstable();
        if ids.windows(2).any(|pair| pair.first() == pair.last()) {
            return Err(SecretProblem::DuplicateId);
        }
        Ok(list)
    }

    /// The secret that makes new things.
    #[must_use]
    pub const fn current(&self) -> &Secret {
        &self.current
    }

    /// The secret of that id, current or older.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<&Secret> {
        self.all().find(|secret| secret.id == id)
    }

    /// Whether a value is one of these, in constant time: for secrets that others show.
    #[must_use]
    pub fn holds(&self, value: &str) -> bool {
        const PURPOSE: &str = "edgewarden compare v1";
        let is = |secret: &Secret| {
            let tag = secret.mac(PURPOSE, &[secret.value.as_bytes()]);
            secret.mac_matches(PURPOSE, &[value.as_bytes()], &tag)
        };
        self.all().fold(false, |found, secret| is(secret) | found)
    }

    /// Whether every id has at most so many characters.
    #[must_use]
    pub fn ids_fit(&self, length: usize) -> bool {
        self.all().all(|secret| secret.id.len() <= length)
    }

    fn all(&self) -> impl Iterator<Item = &Secret> {
        std::iter::once(&self.current).chain(&self.older)
    }
}

impl Secret {
    fn parse(entry: &str) -> Result<Self, SecretProblem> {
        let (id, value) = entry.split_once(':').ok_or(SecretProblem::Shape)?;
        let id_chars = id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
        if id.is_empty() || id.len() > MAX_ID_CHARS || !id_chars {
            return Err(SecretProblem::Shape);
        }
        if value.len() < MIN_SECRET_BYTES {
            return Err(SecretProblem::Short);
        }
        let mut seen = [false; 256];
        for byte in value.bytes() {
            if let Some(slot) = seen.get_mut(usize::from(byte)) {
                *slot = true;
            }
        }
        let distinct = seen.iter().filter(|&&was| was).count();
        let lower = value.to_ascii_lowercase();
        let placeholder = ["change", "secret", "example", "password", "replace", "your-"];
        if distinct < MIN_DISTINCT_BYTES || placeholder.iter().any(|word| lower.contains(word)) {
            return Err(SecretProblem::Placeholder);
        }
        Ok(Self { id: id.to_owned(), value: value.to_owned() })
    }

    /// What tokens and sealed values name this secret by.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The value itself, for whoever else knows it. Keys of ours are derived.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.value
    }

    /// A 256-bit key for one purpose (HKDF-SHA256, RFC 5869); two purposes never share a key.
    #[must_use]
    pub fn derive(&self, purpose: &str) -> [u8; 32] {
        let mut key = [0; 32];
        self.expand(purpose, &mut key);
        key
    }

    fn expand(&self, purpose: &str, key: &mut [u8]) {
        // HKDF fails only above 255 blocks of 32 bytes; keys here are one or two.
        let expanded = Hkdf::<Sha256>::new(None, self.value.as_bytes()).expand(purpose.as_bytes(), key);
        debug_assert!(expanded.is_ok());
    }

    /// HMAC-SHA256 of the parts under a key derived for `purpose`. Each part is preceded by its
    /// length, so that no two lists of parts run together.
    #[must_use]
    pub fn mac(&self, purpose: &str, parts: &[&[u8]]) -> [u8; 32] {
        self.keyed(purpose, parts).finalize().into_bytes().into()
    }

    /// Whether `tag` is the MAC of the parts, in constant time.
    #[must_use]
    pub fn mac_matches(&self, purpose: &str, parts: &[&[u8]], tag: &[u8]) -> bool {
        self.keyed(purpose, parts).verify_slice(tag).is_ok()
    }

    fn keyed(&self, purpose: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
        // A key of HMAC's own block length, so that it is used as it is (RFC 2104, §2).
        let mut key = Key::<Hmac<Sha256>>::default();
        self.expand(purpose, &mut key);
        let mut mac = <Hmac<Sha256> as KeyInit>::new(&key);
        for part in parts {
            mac.update(&u64::try_from(part.len()).unwrap_or(u64::MAX).to_be_bytes());
            mac.update(part);
        }
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";
    const B: &str = "k0:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";

    #[test]
    fn the_first_is_current_and_all_are_found() {
        let list = SecretList::parse(&format!("{A}, {B}")).unwrap();
        assert_eq!(list.current().id(), "k1");
        assert_eq!(list.find("k0").map(Secret::id), Some("k0"));
        assert!(list.find("k2").is_none());
    }

    #[test]
    fn what_is_no_secret_is_refused_by_name_of_its_fault() {
        let problem = |text: &str| SecretList::parse(text).err();
        assert_eq!(problem(""), Some(SecretProblem::Shape));
        assert_eq!(problem("0123456789abcdefghijklmnopqrstuvwxyz"), Some(SecretProblem::Shape));
        assert_eq!(problem("k1:tooshort"), Some(SecretProblem::Short));
        assert_eq!(problem(&format!("k1:{}", "ab".repeat(20))), Some(SecretProblem::Placeholder));
        assert_eq!(problem("k1:change-me-0123456789abcdefghijklmnop"), Some(SecretProblem::Placeholder));
        assert_eq!(problem(&format!("{A},{A}")), Some(SecretProblem::DuplicateId));
        assert_eq!(problem(&format!("{A},")), Some(SecretProblem::Shape));
    }

    #[test]
    fn macs_depend_on_purpose_parts_and_their_borders() {
        let secret = SecretList::parse(A).unwrap().current().clone();
        let tag = secret.mac("x", &[b"ab", b"c"]);
        assert!(secret.mac_matches("x", &[b"ab", b"c"], &tag));
        assert!(!secret.mac_matches("x", &[b"a", b"bc"], &tag));
        assert!(!secret.mac_matches("y", &[b"ab", b"c"], &tag));
        assert!(!secret.mac_matches("x", &[b"ab", b"c"], tag.get(..31).unwrap()));
    }

    #[test]
    fn a_value_that_is_shown_is_one_of_them_or_none() {
        let list = SecretList::parse(&format!("{A},{B}")).unwrap();
        assert!(list.holds(&A[3..]) && list.holds(&B[3..]));
        for other in ["", A, B, &A[4..], &format!("{}x", &A[3..]), &format!("{A},{B}")] {
            assert!(!list.holds(other), "{other}");
        }
    }

    #[test]
    fn debug_shows_no_value() {
        assert!(!format!("{:?}", SecretList::parse(A).unwrap()).contains("0123"));
    }
}
