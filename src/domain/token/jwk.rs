//! Public keys as the world sees them: JWK (RFC 7517 and RFC 7518, §6), OKP (RFC 8037), thumbprints
//! (RFC 7638).

use std::fmt;

use base64ct::{Base64UrlUnpadded, Encoding};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::algorithm::{Algorithm, Curve, Family};

/// The characters of a SHA-256 thumbprint in base64url.
const THUMBPRINT_CHARS: usize = 43;
/// RFC 7518, §3.3: at least 2048 bits. In bits, as is the other bound, above which one verification
/// costs too much.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;
/// No exponent in use is longer, in bytes.
const MAX_EXPONENT_BYTES: usize = 4;

/// The `kid` of one of our keys: its RFC 7638 thumbprint.
#[derive(Clone, Debug, Hash, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
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

    /// The thumbprint of a key's required members, written in lexical order without blanks
    /// (RFC 7638, §3).
    #[must_use]
    pub fn of_canonical(members: &str) -> Self {
        Self(Base64UrlUnpadded::encode_string(&Sha256::digest(members)))
    }

    /// Whether a text has the form of one.
    #[must_use]
    pub fn is_of_its_form(text: &str) -> bool {
        text.len() == THUMBPRINT_CHARS && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_')
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key's numbers, in the encoding of the algorithms that use it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Material {
    /// An Ed25519 point (RFC 8032, §5.1.5).
    Ed25519([u8; 32]),
    /// A point on a curve, each coordinate in the curve's full length.
    Ec {
        /// Which curve.
        curve: Curve,
        /// The first coordinate.
        x: Vec<u8>,
        /// The second.
        y: Vec<u8>,
    },
    /// An RSA key, both numbers without leading zeros.
    Rsa {
        /// The modulus.
        n: Vec<u8>,
        /// The exponent.
        e: Vec<u8>,
    },
}

/// A public key, for one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    material: Material,
    kid: KeyId,
}

/// Something that is not a key for its algorithm.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a key of its algorithm")]
pub struct NotAKey;

/// The members of a JWK that a key cannot do without, in lexical order: what a thumbprint is taken of.
#[derive(Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
enum Members {
    Ec { crv: String, kty: EcType, x: String, y: String },
    Rsa { e: String, kty: RsaType, n: String },
    Okp { crv: String, kty: OkpType, x: String },
}

#[derive(Serialize, Deserialize)]
enum EcType {
    #[serde(rename = "EC")]
    Ec,
}

#[derive(Serialize, Deserialize)]
enum RsaType {
    #[serde(rename = "RSA")]
    Rsa,
}

#[derive(Serialize, Deserialize)]
enum OkpType {
    #[serde(rename = "OKP")]
    Okp,
}

impl PublicKey {
    /// A key from its numbers, if they can be a key of that algorithm.
    pub fn new(algorithm: Algorithm, material: Material) -> Result<Self, NotAKey> {
        let fits = match (&material, algorithm.family()) {
            (Material::Ed25519(point), Family::EdDsa) => !is_of_small_order(point),
            (Material::Ec { curve, x, y }, Family::Ecdsa(wanted)) => {
                *curve == wanted && [x, y].iter().all(|number| number.len() == curve.coordinate_bytes())
            }
            (Material::Rsa { n, e }, Family::RsaPkcs1 | Family::RsaPss) => {
                let minimal = |number: &[u8]| number.first().is_some_and(|first| *first != 0);
                let odd = |number: &[u8]| number.last().is_some_and(|last| last % 2 == 1);
                minimal(n)
                    && minimal(e)
                    && odd(n)
                    && odd(e)
                    && RSA_BITS.contains(&bits(n))
                    && e.len() <= MAX_EXPONENT_BYTES
                    && e.as_slice() != [1]
            }
            _ => false,
        };
        if !fits {
            return Err(NotAKey);
        }
        let kid = KeyId::of_canonical(&canonical(&material));
        Ok(Self { algorithm, material, kid })
    }

    /// An Ed25519 key from its 32 bytes.
    pub fn ed25519(bytes: &[u8]) -> Result<Self, NotAKey> {
        Self::new(Algorithm::EdDsa, Material::Ed25519(bytes.try_into().map_err(|_| NotAKey)?))
    }

    /// A key from its required JWK members, and no others, as JSON.
    pub fn from_members(algorithm: Algorithm, json: &str) -> Result<Self, NotAKey> {
        let decode = |text: &str| Base64UrlUnpadded::decode_vec(text).map_err(|_| NotAKey);
        let material = match serde_json::from_str(json).map_err(|_| NotAKey)? {
            Members::Okp { crv, x, .. } if crv == "Ed25519" => {
                Material::Ed25519(decode(&x)?.try_into().map_err(|_| NotAKey)?)
            }
            Members::Ec { crv, x, y, .. } => {
                let curve = [Curve::P256, Curve::P384, Curve::P521].into_iter().find(|curve| curve.name() == crv);
                Material::Ec { curve: curve.ok_or(NotAKey)?, x: decode(&x)?, y: decode(&y)? }
            }
            Members::Rsa { e, n, .. } => Material::Rsa { n: decode(&n)?, e: decode(&e)? },
            Members::Okp { .. } => return Err(NotAKey),
        };
        Self::new(algorithm, material)
    }

    /// The only algorithm it may be used with.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its numbers.
    #[must_use]
    pub const fn material(&self) -> &Material {
        &self.material
    }

    /// Its thumbprint (RFC 7638).
    #[must_use]
    pub const fn key_id(&self) -> &KeyId {
        &self.kid
    }

    /// How long a signature of this key is, in bytes; every one of another length is wrong.
    #[must_use]
    pub fn signature_bytes(&self) -> usize {
        match &self.material {
            // RFC 8032, §5.1.6.
            Material::Ed25519(_) => 64,
            Material::Ec { curve, .. } => 2 * curve.coordinate_bytes(),
            Material::Rsa { n, .. } => n.len(),
        }
    }

    /// Its required JWK members as JSON in lexical order without blanks: what its thumbprint is
    /// taken of.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical(&self.material)
    }
}

/// The points of Ed25519 whose order divides eight, in each encoding of their second coordinate, without the bit of the sign. Everybody
/// can sign for one (Chalkias, Garillot and Nikolaenko, IACR ePrint 2020/1244, §2).
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    with_ends(0x01, 0x00, 0x00),
    [
        0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf,
        0xac, 0x05, 0xd3, 0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
    ],
    [
        0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20,
        0x53, 0xfa, 0x2c, 0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
    ],
    with_ends(0xec, 0xff, 0x7f),
    with_ends(0xed, 0xff, 0x7f),
    with_ends(0xee, 0xff, 0x7f),
];

const fn with_ends(first: u8, between: u8, last: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    let [begin, .., end] = &mut bytes;
    (*begin, *end) = (first, last);
    bytes
}

fn is_of_small_order(point: &[u8; 32]) -> bool {
    let mut unsigned = *point;
    let [.., last] = &mut unsigned;
    *last &= 0x7f;
    SMALL_ORDER.contains(&unsigned)
}

fn canonical(material: &Material) -> String {
    serde_json::to_string(&members(material)).unwrap_or_default()
}

fn members(material: &Material) -> Members {
    let b64 = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
    match material {
        Material::Ed25519(x) => Members::Okp { crv: "Ed25519".to_owned(), kty: OkpType::Okp, x: b64(x) },
        Material::Ec { curve, x, y } => {
            Members::Ec { crv: curve.name().to_owned(), kty: EcType::Ec, x: b64(x), y: b64(y) }
        }
        Material::Rsa { n, e } => Members::Rsa { e: b64(e), kty: RsaType::Rsa, n: b64(n) },
    }
}

/// How many bits a number has that does not begin with a zero byte.
fn bits(number: &[u8]) -> usize {
    let spare = number.first().map_or(0, |first| first.leading_zeros());
    (number.len() * 8).saturating_sub(usize::try_from(spare).unwrap_or(8))
}

/// One entry of the key set.
#[derive(Serialize)]
pub struct Jwk<'a> {
    #[serde(flatten)]
    members: Members,
    alg: &'static str,
    kid: &'a KeyId,
    r#use: &'static str,
}

impl<'a> From<&'a PublicKey> for Jwk<'a> {
    fn from(key: &'a PublicKey) -> Self {
        Self { members: members(&key.material), alg: key.algorithm.name(), kid: &key.kid, r#use: "sig" }
    }
}

/// The key set that `/.well-known/jwks.json` answers (RFC 7517, §5).
#[derive(Serialize)]
pub struct KeySet<'a> {
    keys: Vec<Jwk<'a>>,
}

impl<'a> FromIterator<&'a PublicKey> for KeySet<'a> {
    fn from_iter<I: IntoIterator<Item = &'a PublicKey>>(keys: I) -> Self {
        Self { keys: keys.into_iter().map(Jwk::from).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn okp(x: &str) -> String {
        format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
    }

    #[test]
    fn members_and_back() {
        let ec = format!(r#"{{"crv":"P-256","kty":"EC","x":"{0}","y":"{0}"}}"#, "A".repeat(43));
        let rsa = format!(r#"{{"e":"AQAB","kty":"RSA","n":"{}"}}"#, "_".repeat(341) + "w");
        for (algorithm, json) in [
            (Algorithm::EdDsa, okp("11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo")),
            (Algorithm::Es256, ec.clone()),
            (Algorithm::Rs512, rsa.clone()),
            (Algorithm::Ps256, rsa.clone()),
        ] {
            let key = PublicKey::from_members(algorithm, &json).unwrap();
            assert_eq!(key.canonical(), json);
            assert!(KeyId::is_of_its_form(key.key_id().as_str()));
        }
        // A key is for its algorithm and no other.
        for (algorithm, json) in [
            (Algorithm::Es384, ec.as_str()),
            (Algorithm::Rs256, &ec),
            (Algorithm::Hs256, &rsa),
            (Algorithm::EdDsa, &rsa),
            (Algorithm::Rs256, r#"{"e":"AQAB","kty":"RSA","n":"AQAB"}"#),
            (Algorithm::Rs256, &rsa.replace("AQAB", "AAAB")),
            (Algorithm::Rs256, &rsa.replace("AQAB", "AQ")),
            (Algorithm::Rs256, &rsa.replace("AQAB", "Ag")),
            (Algorithm::EdDsa, &okp("AAAA=")),
            (Algorithm::EdDsa, &okp(&"A".repeat(42))),
            (Algorithm::EdDsa, &okp(&"A".repeat(43)).replace("25519", "448")),
            (Algorithm::EdDsa, &okp(&"A".repeat(43)).replace("\"x\"", "\"d\":\"A\",\"x\"")),
            (Algorithm::EdDsa, "{}"),
        ] {
            assert_eq!(PublicKey::from_members(algorithm, json), Err(NotAKey), "{algorithm:?} {json}");
        }
    }

    #[test]
    fn a_key_set_shows_what_rfc_8037_asks_for_and_nothing_private() {
        let key = PublicKey::ed25519(&[7; 32]).unwrap();
        let set = serde_json::to_value([&key].into_iter().collect::<KeySet<'_>>()).unwrap();
        let jwk = set.pointer("/keys/0").unwrap().as_object().unwrap();
        let names: Vec<_> = jwk.keys().map(String::as_str).collect();
        assert_eq!(names, ["alg", "crv", "kid", "kty", "use", "x"]);
    }

    #[test]
    fn a_point_that_everybody_can_sign_for_is_no_key() {
        for point in SMALL_ORDER {
            for sign in [0x00, 0x80] {
                let mut point = point;
                point[31] |= sign;
                assert_eq!(PublicKey::ed25519(&point), Err(NotAKey), "{point:02x?}");
            }
        }
        assert!(
            PublicKey::ed25519(&with_ends(0x02, 0x00, 0x00)).is_ok(),
            "whether it is a point at all is the platform's to say"
        );
    }

    #[test]
    fn other_lengths_are_no_keys() {
        assert_eq!(PublicKey::ed25519(&[7; 31]), Err(NotAKey));
    }
}
