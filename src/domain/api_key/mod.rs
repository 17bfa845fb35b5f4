//! API keys: what a program shows where a person would sign in.
//!
//! `ew_<mac key id>_<base64url(key ‖ secret ‖ tag)>`: the tag is an HMAC-SHA256 over the rest, so that a forged key costs
//! no I/O. The database keeps a hash of the secret: with it alone nobody can make the key again, and with the MAC key
//! alone nobody knows the secret. A key is as good as a password, so it is shown once, and to whoever made it.

pub mod addresses;
pub mod snapshot;

use base64ct::{Base64UrlUnpadded, Encoding};
use sha2::{Digest, Sha256};

use super::{id::ApiKeyId, secret::SecretList};

const PREFIX: &str = "ew_";
const PURPOSE: &str = "edgewarden api key v1";
const ID_BYTES: usize = 16;
/// 128 random bits: nobody guesses them, so a plain hash is enough (NIST SP 800-63B, §5.1.2.2).
const SECRET_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
const BODY_BYTES: usize = ID_BYTES + SECRET_BYTES + TAG_BYTES;
/// Without padding.
const BODY_CHARS: usize = (BODY_BYTES * 4).div_ceil(3);
/// So much of the body is shown of a key that is listed: the first part of its id, and nothing of its secret.
const SHOWN_CHARS: usize = 12;
/// No key of ours is longer: it is not looked at. An id of a MAC key has 16 characters at most.
pub const MAX_TEXT: usize = PREFIX.len() + 16 + 1 + BODY_CHARS;

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
        text.starts_with(PREFIX)
    }

    /// The key as its holder keeps it, under the current MAC key.
    #[must_use]
    pub fn encode(&self, keys: &SecretList) -> String {
        let key = keys.current();
        let tag = key.mac(PURPOSE, &[self.id.bytes(), &self.secret.0]);
        let body = [self.id.bytes().as_slice(), &self.secret.0, &tag].concat();
        format!("{PREFIX}{}_{}", key.id(), Base64UrlUnpadded::encode_string(&body))
    }

    /// Reads a key and checks its tag, in constant time. `None` of what no MAC key of ours vouches for.
    #[must_use]
    pub fn decode(text: &str, keys: &SecretList) -> Option<Self> {
        let rest = text.strip_prefix(PREFIX).filter(|_| text.len() <= MAX_TEXT)?;
        // The id of a MAC key may hold "_"; the body, being of fixed length, tells where it begins.
        let (head, body) = rest.split_at_checked(rest.len().checked_sub(BODY_CHARS)?)?;
        let key = keys.find(head.strip_suffix('_')?)?;
        let mut buffer = [0; BODY_BYTES];
        let body = Base64UrlUnpadded::decode(body, &mut buffer).ok()?;
        let (id, rest) = body.split_first_chunk::<ID_BYTES>()?;
        let (secret, tag) = rest.split_first_chunk::<SECRET_BYTES>()?;
        let is_ours = key.mac_matches(PURPOSE, &[id, secret], tag);
        is_ours.then(|| Self::new(ApiKeyId::from_bytes(*id), *secret))
    }

    /// What of a key's text may be shown again, for its owner to tell it from others.
    #[must_use]
    pub fn prefix(text: &str) -> String {
        let shown = text.len().saturating_sub(BODY_CHARS - SHOWN_CHARS);
        text.get(..shown).unwrap_or_default().to_owned()
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

    const OLD: &str = "k_0:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
    const NEW: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn keys(text: &str) -> SecretList {
        SecretList::parse(text).unwrap()
    }

    fn api_key() -> ApiKey {
        ApiKey::new(ApiKeyId::new(Timestamp::from_secs(9), &[3; 10]), [8; 16])
    }

    #[test]
    fn it_is_read_back_and_mac_keys_rotate() {
        let text = api_key().encode(&keys(OLD));
        assert!(text.starts_with("ew_k_0_") && text.len() <= MAX_TEXT, "{text}");
        assert_eq!(ApiKey::decode(&text, &keys(OLD)), Some(api_key()));
        assert_eq!(ApiKey::decode(&text, &keys(&format!("{NEW},{OLD}"))), Some(api_key()));
        assert_eq!(ApiKey::decode(&text, &keys(NEW)), None);
        let longest = format!("{}:{}", "k".repeat(16), "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
        assert!(ApiKey::decode(&api_key().encode(&keys(&longest)), &keys(&longest)).is_some());
    }

    #[test]
    fn any_changed_character_is_refused() {
        let keys = keys(NEW);
        let text = api_key().encode(&keys);
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', 'é'] {
                let changed: String = text.char_indices().map(|(i, c)| if i == at { new } else { c }).collect();
                assert!(old == new || ApiKey::decode(&changed, &keys).is_none(), "{changed}");
            }
        }
        let longer = format!("{text}A");
        for bad in ["", "ew_", "ew_k1_", &text[..text.len() - 1], &longer, &text.to_uppercase(), &"é".repeat(60)] {
            assert_eq!(ApiKey::decode(bad, &keys), None, "{bad}");
        }
    }

    #[test]
    fn what_was_signed_for_something_else_is_refused() {
        let keys = keys(NEW);
        let sign = |purpose: &str, body: &[u8; 32]| {
            let (id, secret) = body.split_at(16);
            let tag = keys.current().mac(purpose, &[id, secret]);
            format!("ew_k1_{}", Base64UrlUnpadded::encode_string(&[body.as_slice(), &tag].concat()))
        };
        assert!(ApiKey::decode(&sign(PURPOSE, &[1; 32]), &keys).is_some());
        assert_eq!(ApiKey::decode(&sign("edgewarden session cookie v1", &[1; 32]), &keys), None);
    }

    #[test]
    fn what_is_shown_of_it_tells_nothing_of_its_secret() {
        let keys = keys(OLD);
        let other = ApiKey::new(api_key().id, [9; 16]);
        assert_eq!(ApiKey::prefix(&api_key().encode(&keys)), ApiKey::prefix(&other.encode(&keys)));
        let prefix = ApiKey::prefix(&api_key().encode(&keys));
        assert_eq!(prefix.len(), "ew_k_0_".len() + SHOWN_CHARS);
        assert_eq!(format!("{:?}", api_key()), format!("{other:?}"), "nor does what a log would say of it");
        assert_ne!(api_key().secret_hash(), other.secret_hash());
    }
}
