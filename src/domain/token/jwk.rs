//! Public keys as the world sees them: JWK (RFC 7517), OKP (RFC 8037), thumbprints (RFC 7638).

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// The `kid` of one of our keys: its RFC 7638 thumbprint.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct KeyId(String);

impl KeyId {
    /// The id as it stands in headers and key sets.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// A `kid` read from the database.
    #[must_use]
    pub const fn stored(text: String) -> Self {
        Self(text)
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An algorithm that a key may be for. The key decides, never a token's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Algorithm {
    /// Ed25519 (RFC 8037).
    #[serde(rename = "EdDSA")]
    EdDsa,
}

impl Algorithm {
    /// The name in `alg`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EdDsa => "EdDSA",
        }
    }
}

/// RFC 8032, §5.1.6.
const ED25519_SIGNATURE_BYTES: usize = 64;

/// Which key to sign with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SigningKeyRef {
    /// Its id.
    pub kid: KeyId,
    /// Its algorithm.
    pub algorithm: Algorithm,
}

/// A public key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    bytes: [u8; 32],
}

/// A text that is no public key of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a public key")]
pub struct NotAKey;

impl PublicKey {
    /// An Ed25519 key from its 32 bytes.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, NotAKey> {
        let bytes = bytes.try_into().map_err(|_| NotAKey)?;
        Ok(Self { algorithm: Algorithm::EdDsa, bytes })
    }

    /// An Ed25519 key from its `x` member.
    pub fn from_x(x: &str) -> Result<Self, NotAKey> {
        Self::ed25519(&Base64UrlUnpadded::decode_vec(x).map_err(|_| NotAKey)?)
    }

    /// The only algorithm it may be used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Whether a signature of this form can be the key's at all: what claims another algorithm or
    /// has another length is refused before any cryptography.
    #[must_use]
    pub fn could_have_made(&self, algorithm: &str, signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::EdDsa => algorithm == self.algorithm.name() && signature.len() == ED25519_SIGNATURE_BYTES,
        }
    }

    /// Its bytes, in the algorithm's own encoding.
    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// The `x` member of its JWK.
    #[must_use]
    pub fn x(&self) -> String {
        Base64UrlUnpadded::encode_string(&self.bytes)
    }

    /// Its thumbprint (RFC 7638, §3): SHA-256 over the required members in lexical order.
    #[must_use]
    pub fn key_id(&self) -> KeyId {
        let canonical = format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{}"}}"#, self.x());
        KeyId(Base64UrlUnpadded::encode_string(&Sha256::digest(canonical)))
    }
}

/// One entry of the key set.
#[derive(Debug, Serialize)]
pub struct Jwk {
    kty: &'static str,
    crv: &'static str,
    x: String,
    #[serde(rename = "use")]
    usage: &'static str,
    alg: &'static str,
    kid: String,
}

impl From<&PublicKey> for Jwk {
    fn from(key: &PublicKey) -> Self {
        Self { kty: "OKP", crv: "Ed25519", x: key.x(), usage: "sig", alg: key.algorithm.name(), kid: key.key_id().0 }
    }
}

/// The key set that `/.well-known/jwks.json` answers (RFC 7517, §5).
#[derive(Debug, Serialize)]
pub struct KeySet {
    keys: Vec<Jwk>,
}

impl<'a> FromIterator<&'a PublicKey> for KeySet {
    fn from_iter<I: IntoIterator<Item = &'a PublicKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().map(Jwk::from).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 8037, appendix A.2 and A.3.
    #[test]
    fn thumbprint_of_rfc_8037() {
        let key = PublicKey::from_x("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo").unwrap();
        assert_eq!(key.key_id().as_str(), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    }

    #[test]
    fn a_key_set_shows_what_rfc_8037_asks_for_and_nothing_private() {
        let key = PublicKey::ed25519(&[7; 32]).unwrap();
        let set = serde_json::to_value([&key].into_iter().collect::<KeySet>()).unwrap();
        let jwk = set.pointer("/keys/0").unwrap().as_object().unwrap();
        let names: Vec<_> = jwk.keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    }

    #[test]
    fn other_lengths_are_no_keys() {
        assert_eq!(PublicKey::ed25519(&[7; 31]), Err(NotAKey));
        assert_eq!(PublicKey::from_x("AAAA="), Err(NotAKey));
    }
}
