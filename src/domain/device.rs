//! A browser that has signed in before, as its cookie tells: opaque to it, and nothing that opens
//! anything. It only counts by itself when passwords are tried, so that a stranger who closes an
//! account to everyone does not close it to its owner.
//!
//! `<mac key id>.<base64url(device ‖ issued ‖ (user ‖ password version) … ‖ tag)>`: when it was given out, in
//! seconds, and up to four users who signed in from it, the last one first, each with the version of their
//! password then: whoever takes a cookie away has no use of it once the password has changed, or a year later.
//! Numbers are eight bytes, big-endian. The tag is an HMAC-SHA256 over all the rest.

use std::time::Duration;

use base64ct::{Base64UrlUnpadded, Encoding};

use super::{id::UserId, secret::SecretList, time::Timestamp};

/// A browser is known for so long after the last sign-in.
pub const LIFETIME: Duration = Duration::from_hours(365 * 24);

const PURPOSE: &str = "edgewarden device v2";
const ID_BYTES: usize = 16;
const USER_BYTES: usize = 16;
const NUMBER_BYTES: usize = 8;
const TAG_BYTES: usize = 32;
/// A browser is known to so many users; of more, the one who signed in longest ago is forgotten.
const MAX_USERS: usize = 4;
/// No cookie of ours is longer: it is not read.
const MAX_TEXT: usize = 280;

/// A browser, and who has signed in from it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    id: [u8; ID_BYTES],
    users: Vec<Known>,
}

/// Someone who has signed in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Known {
    /// Who.
    pub user: UserId,
    /// With which of their passwords.
    pub password_version: i64,
}

impl Device {
    /// A browser that nobody has signed in from yet.
    #[must_use]
    pub const fn new(id: [u8; ID_BYTES]) -> Self {
        Self { id, users: Vec::new() }
    }

    /// The same browser after somebody has signed in.
    #[must_use]
    pub fn with_user(mut self, known: Known) -> Self {
        self.users.retain(|other| other.user != known.user);
        self.users.insert(0, known);
        self.users.truncate(MAX_USERS);
        self
    }

    /// Who has signed in, the last one first.
    #[must_use]
    pub fn users(&self) -> &[Known] {
        &self.users
    }

    /// The name under which its attempts count; never empty.
    #[must_use]
    pub fn slot(&self) -> String {
        Base64UrlUnpadded::encode_string(&self.id)
    }

    /// The cookie's value, given out now under the current MAC key.
    #[must_use]
    pub fn encode(&self, keys: &SecretList, now: Timestamp) -> String {
        let (key, mut body) = (keys.current(), self.id.to_vec());
        body.extend_from_slice(&now.secs().to_be_bytes());
        for Known { user, password_version } in &self.users {
            body.extend_from_slice(user.bytes());
            body.extend_from_slice(&password_version.to_be_bytes());
        }
        let tag = key.mac(PURPOSE, &[&body]);
        body.extend_from_slice(&tag);
        format!("{}.{}", key.id(), Base64UrlUnpadded::encode_string(&body))
    }

    /// Reads a cookie's value and checks its MAC, in constant time, and its age. `None` of what no key of ours
    /// vouches for, or is over: such a browser is a stranger, like any without a cookie.
    #[must_use]
    pub fn decode(text: &str, keys: &SecretList, now: Timestamp) -> Option<Self> {
        let (key, body) = text.split_once('.').filter(|_| text.len() <= MAX_TEXT)?;
        let (key, body) = (keys.find(key)?, Base64UrlUnpadded::decode_vec(body).ok()?);
        let (body, tag) = body.split_at_checked(body.len().checked_sub(TAG_BYTES)?)?;
        if !key.mac_matches(PURPOSE, &[body], tag) {
            return None;
        }
        let (id, body) = body.split_first_chunk::<ID_BYTES>()?;
        let (issued, users) = body.split_first_chunk::<NUMBER_BYTES>()?;
        let (users, rest) = users.as_chunks::<{ USER_BYTES + NUMBER_BYTES }>();
        let fits = rest.is_empty() && users.len() <= MAX_USERS;
        let is_over = now.since(Timestamp::from_secs(i64::from_be_bytes(*issued))) > LIFETIME;
        let users = users.iter().filter_map(|user| {
            let (user, version) = user.split_first_chunk::<USER_BYTES>()?;
            let version = version.first_chunk::<NUMBER_BYTES>()?;
            Some(Known { user: UserId::from_bytes(*user), password_version: i64::from_be_bytes(*version) })
        });
        (fits && !is_over).then(|| Self { id: *id, users: users.collect() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000_000);

    const OLD: &str = "k_0:zyxwvutsrqponmlkjihgfedcba9876543210ZYXWVUT";
    const NEW: &str = "k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG";

    fn keys(text: &str) -> SecretList {
        SecretList::parse(text).unwrap()
    }

    fn user(number: i64) -> Known {
        Known { user: UserId::new(Timestamp::from_secs(number), &[7; 10]), password_version: number }
    }

    #[test]
    fn it_remembers_the_last_four() {
        let keys = keys(NEW);
        let mut device = Device::new([5; 16]);
        assert_eq!(Device::decode(&device.encode(&keys, NOW), &keys, NOW), Some(device.clone()));
        for number in [1, 2, 3, 2, 4, 5, 5] {
            device = device.with_user(user(number));
        }
        assert_eq!(device.users(), [5, 4, 2, 3].map(user));
        let text = device.encode(&keys, NOW);
        assert!(text.len() <= MAX_TEXT, "{}", text.len());
        let read = Device::decode(&text, &keys, NOW).unwrap();
        assert_eq!((&read, read.slot()), (&device, device.slot()));
    }

    #[test]
    fn mac_keys_rotate() {
        let device = Device::new([5; 16]).with_user(user(1));
        let text = device.encode(&keys(OLD), NOW);
        assert_eq!(Device::decode(&text, &keys(&format!("{NEW},{OLD}")), NOW), Some(device));
        assert_eq!(Device::decode(&text, &keys(NEW), NOW), None);
    }

    #[test]
    fn any_changed_character_is_a_stranger() {
        let keys = keys(NEW);
        let text = Device::new([5; 16]).with_user(user(1)).encode(&keys, NOW);
        for (at, old) in text.char_indices() {
            for new in ['A', 'B', '_', '.', 'é'] {
                let changed: String = text.char_indices().map(|(i, c)| if i == at { new } else { c }).collect();
                assert!(old == new || Device::decode(&changed, &keys, NOW).is_none(), "{changed}");
            }
        }
        let long = format!("k1.{}", "A".repeat(100_000));
        for bad in ["", ".", "k1.", "k1", &text[..text.len() - 1], &format!("{text}A"), &long] {
            assert_eq!(Device::decode(bad, &keys, NOW), None);
        }
    }

    #[test]
    fn what_was_signed_for_something_else_is_a_stranger() {
        let keys = keys(NEW);
        let sign = |purpose: &str, body: &[u8]| {
            let tag = keys.current().mac(purpose, &[body]);
            format!("k1.{}", Base64UrlUnpadded::encode_string(&[body, &tag].concat()))
        };
        assert!(Device::decode(&sign(PURPOSE, &[1; 24]), &keys, NOW).is_some());
        assert_eq!(Device::decode(&sign("edgewarden refresh token v1", &[1; 24]), &keys, NOW), None);
        for length in [0, 16, 23, 25, 40, 24 * 6] {
            assert_eq!(Device::decode(&sign(PURPOSE, &vec![1; length]), &keys, NOW), None, "{length}");
        }
    }

    #[test]
    fn it_is_known_for_a_year() {
        let (keys, device) = (keys(NEW), Device::new([5; 16]).with_user(user(1)));
        let text = device.encode(&keys, NOW);
        let read = |now| Device::decode(&text, &keys, now);
        assert_eq!(read(NOW.plus(LIFETIME)), Some(device.clone()));
        assert_eq!(read(NOW.minus(Duration::from_secs(5))), Some(device), "clocks differ");
        assert_eq!(read(NOW.plus(LIFETIME + Duration::from_secs(1))), None);
    }
}
