//! The keys that sign and verify, each with its time window. Nothing is switched: every isolate
//! decides by the clock.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    algorithm::Algorithm,
    jwk::{KeyId, KeySet, PublicKey},
    jws::Untrusted,
    shared_key::SharedKey,
    verify::{Claimed, Refusal},
};
use crate::domain::time::Timestamp;

/// What a signature is checked with.
#[derive(Clone, Debug)]
pub enum VerifyingKey {
    /// The public half of a pair; may be published.
    Public(PublicKey),
    /// A secret shared among our isolates; may not.
    Shared(SharedKey),
}

impl VerifyingKey {
    /// Its id.
    #[must_use]
    pub const fn kid(&self) -> &KeyId {
        match self {
            Self::Public(key) => key.key_id(),
            Self::Shared(key) => key.key_id(),
        }
    }

    /// The only algorithm it may be used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self {
            Self::Public(key) => key.algorithm(),
            Self::Shared(key) => key.algorithm(),
        }
    }

    /// How long its signatures are, in bytes.
    #[must_use]
    pub fn signature_bytes(&self) -> usize {
        match self {
            Self::Public(key) => key.signature_bytes(),
            Self::Shared(key) => key.algorithm().digest_bytes(),
        }
    }
}

/// One key of the ring, without its private half.
#[derive(Clone, Debug)]
pub struct RingKey {
    /// What verifies.
    pub key: VerifyingKey,
    /// From when it stands in the key set.
    pub publish_at: Timestamp,
    /// From when it may sign.
    pub sign_from: Timestamp,
    /// From when nothing it signed is believed any more; `None` while that is not decided.
    pub retire_at: Option<Timestamp>,
}

impl RingKey {
    /// Its id.
    #[must_use]
    pub const fn kid(&self) -> &KeyId {
        self.key.kid()
    }

    /// The only algorithm it may be used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.key.algorithm()
    }

    /// Whether what it signed is believed at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        self.retire_at.is_none_or(|end| now < end)
    }
}

/// Our keys by id.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    keys: BTreeMap<String, Arc<RingKey>>,
}

impl FromIterator<RingKey> for KeyRing {
    fn from_iter<I: IntoIterator<Item = RingKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().map(|key| (key.kid().as_str().to_owned(), Arc::new(key))).collect() }
    }
}

impl KeyRing {
    /// All keys, by id.
    pub fn keys(&self) -> impl Iterator<Item = &RingKey> {
        self.keys.values().map(AsRef::as_ref)
    }

    /// Whether a key of that id is among them, whatever its time.
    #[must_use]
    pub fn has(&self, kid: &str) -> bool {
        self.keys.contains_key(kid)
    }

    /// The key of that id, if it may verify at `now`. A `kid` is looked up here and used for
    /// nothing else.
    #[must_use]
    pub fn verifying(&self, kid: &str, now: Timestamp) -> Option<&Arc<RingKey>> {
        self.keys.get(kid).filter(|key| key.is_live(now))
    }

    /// Puts beside a token the key that it names and could have been made with.
    pub fn claim<'a>(&self, token: Untrusted<'a>, now: Timestamp) -> Result<Claimed<'a>, Refusal> {
        let key = self.verifying(token.key_id(), now).ok_or(Refusal::UnknownKey)?;
        Claimed::new(token, key.clone())
    }

    /// The key that signs at `now` what is to be believed until `until`: the newest of `wanted` whose
    /// time has come, else the newest of another algorithm, else the first whose time will come, which
    /// a clock that is behind can see. Never one that ends before what it signs, and never a shared
    /// key where a pair is wanted.
    #[must_use]
    pub fn signing(&self, wanted: Algorithm, now: Timestamp, until: Timestamp) -> Option<&Arc<RingKey>> {
        let fits = |key: &Arc<RingKey>| wanted.is_symmetric() || !key.algorithm().is_symmetric();
        let lasting = || self.keys.values().filter(move |key| fits(key) && key.is_live(until.max(now)));
        let begun = || lasting().filter(|key| key.sign_from <= now);
        let rank = |key: &&Arc<RingKey>| (key.sign_from, key.kid().clone());
        begun()
            .filter(|key| key.algorithm() == wanted)
            .max_by_key(rank)
            .or_else(|| begun().max_by_key(rank))
            .or_else(|| lasting().min_by_key(rank))
    }

    /// What is published at `now`: never a shared key.
    #[must_use]
    pub fn published(&self, now: Timestamp) -> KeySet<'_> {
        let visible = self.keys().filter(|key| key.publish_at <= now && key.is_live(now));
        visible
            .filter_map(|key| match &key.key {
                VerifyingKey::Public(key) => Some(key),
                VerifyingKey::Shared(_) => None,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(seed: u8, publish: i64, sign: i64, retire: Option<i64>) -> RingKey {
        with(VerifyingKey::Public(PublicKey::ed25519(&[seed; 32]).unwrap()), publish, sign, retire)
    }

    fn shared(seed: u8, sign: i64) -> RingKey {
        with(VerifyingKey::Shared(SharedKey::new(Algorithm::Hs256, &[seed; 32]).unwrap()), sign, sign, None)
    }

    fn with(key: VerifyingKey, publish: i64, sign: i64, retire: Option<i64>) -> RingKey {
        RingKey { key, publish_at: at(publish), sign_from: at(sign), retire_at: retire.map(at) }
    }

    const fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn published(ring: &KeyRing, secs: i64) -> usize {
        let set = serde_json::to_value(ring.published(at(secs))).unwrap();
        set.pointer("/keys").unwrap().as_array().unwrap().len()
    }

    fn signs(ring: &KeyRing, wanted: Algorithm, secs: i64) -> KeyId {
        ring.signing(wanted, at(secs), at(secs + 50)).unwrap().kid().clone()
    }

    #[test]
    fn the_clock_decides_what_signs_verifies_and_is_published() {
        let (old, new) = (key(1, 0, 0, Some(300)), key(2, 100, 200, None));
        let (old_kid, new_kid) = (old.kid().clone(), new.kid().clone());
        let ring: KeyRing = [old, new].into_iter().collect();
        assert_eq!((signs(&ring, Algorithm::EdDsa, 0), published(&ring, 0)), (old_kid.clone(), 1));
        assert_eq!((signs(&ring, Algorithm::EdDsa, 199), published(&ring, 199)), (old_kid.clone(), 2));
        assert_eq!((signs(&ring, Algorithm::EdDsa, 200), published(&ring, 200)), (new_kid, 2));
        assert!(ring.verifying(old_kid.as_str(), at(299)).is_some());
        assert!(ring.verifying(old_kid.as_str(), at(300)).is_none());
        assert_eq!(published(&ring, 300), 1);
        assert_eq!(signs(&ring, Algorithm::EdDsa, -5), old_kid, "a clock that is behind signs all the same");
    }

    #[test]
    fn nothing_is_signed_with_a_key_that_ends_before_it() {
        let (ending, next) = (key(1, 0, 0, Some(100)), key(2, 0, 90, None));
        let (ending_kid, next_kid) = (ending.kid().clone(), next.kid().clone());
        let ring: KeyRing = [ending, next].into_iter().collect();
        assert_eq!(signs(&ring, Algorithm::EdDsa, 49), ending_kid);
        assert_eq!(signs(&ring, Algorithm::EdDsa, 50), next_kid, "its time has not come, but it lasts");
        let alone: KeyRing = [key(1, 0, 0, Some(100))].into_iter().collect();
        assert!(alone.signing(Algorithm::EdDsa, at(50), at(100)).is_none());
    }

    #[test]
    fn another_algorithm_signs_only_where_the_wanted_has_no_key() {
        let (pair, secret) = (key(1, 0, 0, None), shared(2, 10));
        let (pair_kid, secret_kid) = (pair.kid().clone(), secret.kid().clone());
        let ring: KeyRing = [pair, secret].into_iter().collect();
        assert_eq!(signs(&ring, Algorithm::Hs256, 9), pair_kid);
        assert_eq!(signs(&ring, Algorithm::Hs256, 10), secret_kid);
        assert_eq!(signs(&ring, Algorithm::EdDsa, 10), pair_kid);
        assert_eq!(signs(&ring, Algorithm::Es256, 10), pair_kid, "what a pair should sign, no shared key does");
        let secret_alone: KeyRing = [shared(2, 10)].into_iter().collect();
        assert!(secret_alone.signing(Algorithm::EdDsa, at(10), at(20)).is_none());
        assert_eq!(published(&ring, 10), 1, "a shared key is never published");
    }

    #[test]
    fn an_unknown_id_is_no_key() {
        let ring: KeyRing = [key(1, 0, 0, None)].into_iter().collect();
        for kid in ["", "../../etc/passwd", "' OR 1=1 --"] {
            assert!(ring.verifying(kid, at(1)).is_none());
        }
    }
}
