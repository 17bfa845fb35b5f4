//! The session cookie: opaque to the browser, checkable without a store, useless from one.
//!
//! `<mac key id>.<base64url(session ‖ salt ‖ tag)>`: the tag is an HMAC-SHA256 over the rest, so that a forged cookie
//! costs no I/O. Stores hold the salt but not the key: with one of the two nobody can make a cookie.

use base64ct::{Base64UrlUnpadded, Encoding};

use crate::domain::{id::SessionId, secret::SecretList, token::refresh::salt_text};

const PURPOSE: &str = "edgewarden session cookie v1";
const ID_BYTES: usize = 16;
const SALT_BYTES: usize = 16;
const TAG_BYTES: usize = 32;
/// No cookie of ours is longer: it is not read.
const MAX_TEXT: usize = 120;

/// What a session cookie names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCookie {
    /// The session.
    pub session: SessionId,
    /// The session's salt.
    pub salt: [u8; SALT_BYTES],
}

impl SessionCookie {
    /// The cookie's value under the current MAC key.
    #[must_use]
    pub fn encode(&self, keys: &SecretList) -> String {
        let (key, mut body) = (keys.current(), [self.session.bytes().as_slice(), &self.salt].concat());
        let tag = key.mac(PURPOSE, &[&body]);
        body.extend_from_slice(&tag);
        format!("{}.{}", key.id(), Base64UrlUnpadded::encode_string(&body))
    }

    /// Reads a cookie's value and checks its MAC, in constant time. `None` of what no key of ours vouches for.
    #[must_use]
    pub fn decode(text: &str, keys: &SecretList) -> Option<Self> {
        let (key, body) = text.split_once('.').filter(|_| text.len() <= MAX_TEXT)?;
        let key = keys.find(key)?;
        let mut buffer = [0; ID_BYTES + SALT_BYTES + TAG_BYTES];
        let body = Base64UrlUnpadded::decode(body, &mut buffer).ok()?;
        let (body, tag) = body.split_at_checked(ID_BYTES + SALT_BYTES)?;
        let (session, salt) = body.split_first_chunk::<ID_BYTES>()?;
        let salt = salt.first_chunk::<SALT_BYTES>()?;
        let is_ours = tag.len() == TAG_BYTES && key.mac_matches(PURPOSE, &[body], tag);
        is_ours.then(|| Self { session: SessionId::from_bytes(*session), salt: *salt })
    }

    /// The salt as stores keep it.
    #[must_use]
    pub fn salt_text(&self) -> String {
        salt_text(&self.salt)
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

    fn cookie() -> SessionCookie {
        SessionCookie { session: SessionId::new(Timestamp::from_secs(9), &[3; 10]), salt: [8; 16] }
    }

    #[test]
    fn it_is_read_back_and_mac_keys_rotate() {
        let text = cookie().encode(&keys(OLD));
        assert!(text.starts_with("k_0.") && text.len() <= MAX_TEXT, "{text}");
        assert_eq!(SessionCookie::decode(&text, &keys(OLD)), Some(cookie()));
        assert_eq!(SessionCookie::decode(&text, &keys(&format!("{NEW},{OLD}"))), Some(cookie()));
        assert_eq!(SessionCookie::decode(&text, &keys(NEW)), None);
        let longest = format!("{}:{}", "k".repeat(16), "0123456789abcdefghijklmnopqrstuvwxyzABCDEFG");
        assert!(SessionCookie::decode(&cookie().encode(&keys(&longest)), &keys(&longest)).is_some());
    }

    #[test]
    fn any_changed_character_is_refused() {
        let keys = keys(NEW);
        let text = cookie().encode(&keys);
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', 'é'] {
                let changed: String = text.char_indices().map(|(i, c)| if i == at { new } else { c }).collect();
                assert!(old == new || SessionCookie::decode(&changed, &keys).is_none(), "{changed}");
            }
        }
        for bad in ["", ".", "k1.", "k1", &text[..text.len() - 1], &format!("{text}A"), &"é".repeat(60)] {
            assert_eq!(SessionCookie::decode(bad, &keys), None, "{bad}");
        }
    }

    #[test]
    fn what_was_signed_for_something_else_is_refused() {
        let keys = keys(NEW);
        let sign = |purpose: &str, body: &[u8]| {
            let tag = keys.current().mac(purpose, &[body]);
            format!("k1.{}", Base64UrlUnpadded::encode_string(&[body, &tag].concat()))
        };
        assert!(SessionCookie::decode(&sign(PURPOSE, &[1; 32]), &keys).is_some());
        assert_eq!(SessionCookie::decode(&sign("edgewarden device v2", &[1; 32]), &keys), None);
        for length in [0, 16, 31, 33] {
            assert_eq!(SessionCookie::decode(&sign(PURPOSE, &vec![1; length]), &keys), None, "{length}");
        }
    }
}
