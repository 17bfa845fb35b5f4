//! Shared keys of HMAC algorithms (RFC 7518, §3.2): whoever can verify with one can sign with it,
//! so none is ever published.

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{
    Algorithm as _, AlgorithmSignature,
    alg::{Hs256, Hs256Key, Hs256Signature, Hs384, Hs384Key, Hs384Signature, Hs512, Hs512Key, Hs512Signature},
};

use super::{
    algorithm::Algorithm,
    jwk::{KeyId, NotAKey},
};

/// An HMAC key for one algorithm. This copy of its bytes is wiped when it is dropped.
#[derive(Clone)]
pub struct SharedKey {
    kid: KeyId,
    key: Keyed,
}

#[derive(Clone)]
enum Keyed {
    Hs256(Hs256Key),
    Hs384(Hs384Key),
    Hs512(Hs512Key),
}

impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedKey({}, {}, …)", self.algorithm().name(), self.kid)
    }
}

impl SharedKey {
    /// A key from its bytes, of which there must be at least as many as in the digest (RFC 7518, §3.2).
    pub fn new(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, NotAKey> {
        if bytes.len() < algorithm.digest_bytes() {
            return Err(NotAKey);
        }
        let key = match algorithm {
            Algorithm::Hs256 => Keyed::Hs256(bytes.into()),
            Algorithm::Hs384 => Keyed::Hs384(bytes.into()),
            Algorithm::Hs512 => Keyed::Hs512(bytes.into()),
            _ => return Err(NotAKey),
        };
        // Naming a key by its digest is safe where the key is random (RFC 7638, §7), as ours are.
        let canonical = format!(r#"{{"k":"{}","kty":"oct"}}"#, Base64UrlUnpadded::encode_string(bytes));
        Ok(Self { kid: KeyId::of_canonical(&canonical), key })
    }

    /// Its RFC 7638 thumbprint.
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.kid
    }

    /// The only algorithm it may be used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        match self.key {
            Keyed::Hs256(_) => Algorithm::Hs256,
            Keyed::Hs384(_) => Algorithm::Hs384,
            Keyed::Hs512(_) => Algorithm::Hs512,
        }
    }

    /// The MAC of a message.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        match &self.key {
            Keyed::Hs256(key) => Hs256.sign(key, message).as_bytes().into_owned(),
            Keyed::Hs384(key) => Hs384.sign(key, message).as_bytes().into_owned(),
            Keyed::Hs512(key) => Hs512.sign(key, message).as_bytes().into_owned(),
        }
    }

    /// Whether a tag is the message's MAC, whole, compared in constant time.
    #[must_use]
    pub fn verify(&self, message: &[u8], tag: &[u8]) -> bool {
        // The library takes no tag of another length.
        if tag.len() != self.algorithm().digest_bytes() {
            return false;
        }
        match &self.key {
            Keyed::Hs256(key) => {
                Hs256Signature::try_from_slice(tag).is_ok_and(|tag| Hs256.verify_signature(&tag, key, message))
            }
            Keyed::Hs384(key) => {
                Hs384Signature::try_from_slice(tag).is_ok_and(|tag| Hs384.verify_signature(&tag, key, message))
            }
            Keyed::Hs512(key) => {
                Hs512Signature::try_from_slice(tag).is_ok_and(|tag| Hs512.verify_signature(&tag, key, message))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_as_long_as_its_digest_at_least() {
        for (algorithm, bytes) in [(Algorithm::Hs256, 32), (Algorithm::Hs384, 48), (Algorithm::Hs512, 64)] {
            assert!(SharedKey::new(algorithm, &vec![7; bytes - 1]).is_err());
            assert_eq!(SharedKey::new(algorithm, &vec![7; bytes]).unwrap().algorithm(), algorithm);
        }
        assert!(SharedKey::new(Algorithm::EdDsa, &[7; 64]).is_err());
    }

    #[test]
    fn only_the_whole_tag_of_this_message_and_key_is_right() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            let key = SharedKey::new(algorithm, &[7; 64]).unwrap();
            let tag = key.sign(b"message");
            assert!(key.verify(b"message", &tag));
            assert!(!key.verify(b"messagf", &tag));
            assert!(!key.verify(b"message", &tag[..tag.len() - 1]));
            assert!(!key.verify(b"message", &[tag.as_slice(), &[0]].concat()));
            assert!(!key.verify(b"message", &[]));
            assert!(!SharedKey::new(algorithm, &[8; 64]).unwrap().verify(b"message", &tag));
        }
    }

    #[test]
    fn debug_shows_no_secret() {
        let key = SharedKey::new(Algorithm::Hs256, &[b'Z'; 32]).unwrap();
        let shown = format!("{key:?}");
        assert!(!shown.contains("Wlpa") && !shown.contains("90"), "{shown}");
    }
}
