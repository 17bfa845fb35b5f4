//! The keys that sign and verify, each with its time window. Nothing is switched: every isolate
//! decides by the clock.

use std::collections::BTreeMap;

use super::{
    jwk::{KeyId, KeySet, PublicKey, SigningKeyRef},
    jws::Untrusted,
    verify::Refusal,
};
use crate::domain::time::Timestamp;

/// One key of the ring, without its private half.
#[derive(Clone, Debug)]
pub struct RingKey {
    /// The public half.
    pub public: PublicKey,
    /// From when it stands in the key set.
    pub publish_at: Timestamp,
    /// From when it may sign.
    pub sign_from: Timestamp,
    /// From when nothing it signed is believed any more; `None` while that is not decided.
    pub retire_at: Option<Timestamp>,
}

impl RingKey {
    fn is_live(&self, now: Timestamp) -> bool {
        self.retire_at.is_none_or(|end| now < end)
    }
}

/// Our keys by id.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: BTreeMap<String, RingKey>,
}

impl FromIterator<RingKey> for KeyRing {
    fn from_iter<I: IntoIterator<Item = RingKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.public.key_id().as_str().to_owned(), key)).collect() }
    }
}

impl KeyRing {
    /// The key of that id, if it may verify at `now`. A `kid` is looked up here and used for
    /// nothing else.
    #[must_use]
    pub fn verifying(&self, kid: &str, now: Timestamp) -> Option<&PublicKey> {
        self.keys.get(kid).filter(|key| key.is_live(now)).map(|key| &key.public)
    }

    /// The key that a token names and could have been made with, before its signature is checked.
    pub fn key_of(&self, token: &Untrusted<'_>, now: Timestamp) -> Result<&PublicKey, Refusal> {
        let key = self.verifying(token.key_id(), now).ok_or(Refusal::UnknownKey)?;
        if key.could_have_made(token.algorithm(), token.signature()) { Ok(key) } else { Err(Refusal::BadSignature) }
    }

    /// The key that signs at `now`: of those whose time has come, the newest. If none's has, which
    /// a clock that is behind can see, the first whose time will.
    #[must_use]
    pub fn signing(&self, now: Timestamp) -> Option<SigningKeyRef> {
        let live = || self.keys.iter().filter(|(_, key)| key.is_live(now));
        live()
            .filter(|(_, key)| key.sign_from <= now)
            .max_by_key(|(kid, key)| (key.sign_from, *kid))
            .or_else(|| live().min_by_key(|(kid, key)| (key.sign_from, *kid)))
            .map(|(kid, key)| SigningKeyRef { kid: KeyId::stored(kid.clone()), algorithm: key.public.algorithm() })
    }

    /// What is published at `now`.
    #[must_use]
    pub fn published(&self, now: Timestamp) -> KeySet {
        self.keys.values().filter(|key| key.publish_at <= now && key.is_live(now)).map(|key| &key.public).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8, publish: i64, sign: i64, retire: Option<i64>) -> RingKey {
        RingKey {
            public: PublicKey::ed25519(&[seed; 32]).unwrap(),
            publish_at: Timestamp::from_secs(publish),
            sign_from: Timestamp::from_secs(sign),
            retire_at: retire.map(Timestamp::from_secs),
        }
    }

    #[test]
    fn the_clock_decides_what_signs_verifies_and_is_published() {
        let (old, new) = (key(1, 0, 0, Some(300)), key(2, 100, 200, None));
        let (old_kid, new_kid) = (old.public.key_id(), new.public.key_id());
        let ring: KeyRing = [old, new].into_iter().collect();
        let signs = |secs| ring.signing(Timestamp::from_secs(secs)).unwrap().kid;
        let published = |secs| {
            let set = serde_json::to_value(ring.published(Timestamp::from_secs(secs))).unwrap();
            set.pointer("/keys").unwrap().as_array().unwrap().len()
        };
        assert_eq!((signs(0), published(0)), (old_kid.clone(), 1));
        assert_eq!((signs(199), published(199)), (old_kid.clone(), 2));
        assert_eq!((signs(200), published(200)), (new_kid, 2));
        assert!(ring.verifying(old_kid.as_str(), Timestamp::from_secs(299)).is_some());
        assert!(ring.verifying(old_kid.as_str(), Timestamp::from_secs(300)).is_none());
        assert_eq!(published(300), 1);
        assert_eq!(signs(-5), old_kid, "a clock that is behind signs all the same");
    }

    #[test]
    fn an_unknown_id_is_no_key() {
        let ring: KeyRing = [key(1, 0, 0, None)].into_iter().collect();
        for kid in ["", "../../etc/passwd", "' OR 1=1 --"] {
            assert!(ring.verifying(kid, Timestamp::from_secs(1)).is_none());
        }
    }
}
