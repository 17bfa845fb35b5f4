//! API keys: what a program shows where a person would sign in.
//!
//! It is [vouched for](super::vouched), so that a forged one costs no I/O. The database keeps a hash of the secret: with it
//! alone nobody can make the key again, and with the MAC key alone nobody knows the secret. A key is as good as a password,
//! so it is shown once, and to whoever made it.

pub mod addresses;
pub mod snapshot;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use super::{id::ApiKeyId, secret::SecretList, vouched::Vouched};

const SORT: Vouched = Vouched { prefix: "ew_", purpose: "edgewarden api key v1" };
/// 128 random bits: nobody guesses them, so a plain hash is enough (NIST SP 800-63B, §5.1.2.2).
const SECRET_BYTES: usize = 16;
/// Of id and secret.
const SIZES: [usize; 2] = [16, SECRET_BYTES];
/// So many characters beyond the id of the MAC key are shown of a key that is listed: the first part of its own id, and
/// nothing of its secret.
const SHOWN_CHARS: usize = 12;

/// A key as its holder has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiKey {
    /// Which.
    pub id: ApiKeyId,
    secret: Secret,
}

#[derive(Clone, PartialEq, Eq)]
struct Secret([u8; SECRET_BYTES]);

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl ApiKey {
    /// A new one.
    #[must_use]
    pub const fn new(id: ApiKeyId, secret: [u8; SECRET_BYTES]) -> Self {
        Self { id, secret: Secret(secret) }
    }

    /// Whether a credential says that it is an API key, be it one of ours or not.
    #[must_use]
    pub fn is_meant_by(text: &str) -> bool {
        text.starts_with(SORT.prefix)
    }

    /// The key as its holder keeps it, under the current MAC key.
    #[must_use]
    pub fn encode(&self, keys: &SecretList) -> String {
        SORT.encode(&[self.id.bytes(), &self.secret.0], keys)
    }

    /// Reads a key and checks its tag, in constant time. `None` of what no MAC key of ours vouches for.
    #[must_use]
    pub fn decode(text: &str, keys: &SecretList) -> Option<Self> {
        let (parts, _) = SORT.decode(text, &SIZES, keys)?;
        let (id, secret) = parts.split_first_chunk()?;
        Some(Self::new(ApiKeyId::from_bytes(*id), *secret.first_chunk()?))
    }

    /// What of its text may be shown again, for its owner to tell it from others.
    #[must_use]
    pub fn prefix(&self, keys: &SecretList) -> String {
        let shown = SORT.prefix.len() + keys.current().id().len() + 1 + SHOWN_CHARS;
        self.encode(keys).chars().take(shown).collect()
    }

    /// No key of ours is longer, in characters: it is not looked at.
    #[must_use]
    pub fn max_chars() -> usize {
        SORT.max_chars(&SIZES)
    }

    /// The secret as the database keeps it.
    #[must_use]
    pub fn secret_hash(&self) -> String {
        Base64UrlUnpadded::encode_string(&Sha256::digest(self.secret.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::time::Timestamp;

    fn keys() -> SecretList {
        SecretList::parse("k_0:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT").unwrap()
    }

    fn api_key() -> ApiKey {
        ApiKey::new(ApiKeyId::new(Timestamp::from_secs(9), &[3; 10]), [8; 16])
    }

    #[test]
    fn it_is_read_back() {
        let text = api_key().encode(&keys());
        assert!(text.starts_with("ew_k_0_") && text.len() <= ApiKey::max_chars(), "{text}");
        assert_eq!(ApiKey::decode(&text, &keys()), Some(api_key()));
        assert!(ApiKey::is_meant_by(&text) && !ApiKey::is_meant_by(&text[1..]));
    }

    #[test]
    fn what_is_shown_of_it_tells_nothing_of_its_secret() {
        let other = ApiKey::new(api_key().id, [9; 16]);
        assert_eq!(api_key().prefix(&keys()), other.prefix(&keys()));
        let prefix = api_key().prefix(&keys());
        assert_eq!(prefix.len(), "ew_k_0_".len() + SHOWN_CHARS);
        assert!(api_key().encode(&keys()).starts_with(&prefix));
        assert_eq!(format!("{:?}", api_key()), format!("{other:?}"), "nor does what a log would say of it");
        assert_ne!(api_key().secret_hash(), other.secret_hash());
    }
}
