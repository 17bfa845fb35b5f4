//! The compact serialisation of a signed token (RFC 7515, §7.1), read strictly (RFC 8725).
//!
//! Another issuer's tokens are read as strictly, but for members of their headers that mean nothing here.
//!
//! What leaves here is still [`Untrusted`]: well-formed, and nothing more. Signature, key, issuer
//! and times are [`super::verify`]'s business.

use std::{borrow::Cow, fmt};

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{Algorithm as JwtAlgorithm, AlgorithmExt, AlgorithmSignature, Header};
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{Map, Value};

use super::{
    algorithm::Algorithm,
    assertion::{self, ASSERTION_TYPE},
    claims::Claims,
    jwk::KeyId,
};
use crate::domain::strict_json;

/// A longer token is refused before it is parsed.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
/// A longer token is not issued: with it, a client's other headers would meet the limits of servers.
pub const MAX_ISSUED_BYTES: usize = 4 * 1024;
/// A longer `kid` names no key.
const MAX_KID_BYTES: usize = 128;
/// The `typ` of an access token (RFC 9068, §2.1).
pub const ACCESS_TYPE: &str = "at+jwt";

/// Why a text is not a token that could be ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// Not three parts of strict base64url around JSON objects without duplicates.
    #[error("malformed")]
    Malformed,
    /// It asks for something that is never done: an algorithm that is none, a key by reference or
    /// value, `crit`, `b64`, another content type.
    #[error("unsupported")]
    Unsupported,
}

/// A token in the form of one, that nobody has vouched for. Its claims are not even looked at before
/// somebody has, but for the issuer that it names, where others than ourselves are trusted.
#[derive(Debug)]
pub struct Untrusted<'a> {
    signing_input: &'a str,
    payload: &'a str,
    signature: Vec<u8>,
    header: ReadHeader,
}

impl<'a> Untrusted<'a> {
    /// Reads a compact token, all but its claims.
    ///
    /// # Errors
    /// See [`Unreadable`]. No header member ever causes a fetch.
    pub fn parse(token: &'a str) -> Result<Self, Unreadable> {
        Self::parse_by(token, read_header)
    }

    /// The same of a token that another issuer may have made: it may name no key, and its header may have members that mean
    /// nothing here.
    ///
    /// # Errors
    /// See [`Unreadable`].
    pub fn parse_theirs(token: &'a str) -> Result<Self, Unreadable> {
        Self::parse_by(token, read_their_header)
    }

    fn parse_by(token: &'a str, read: fn(&[u8]) -> Result<ReadHeader, Unreadable>) -> Result<Self, Unreadable> {
        // (1) Size, before any work.
        if token.len() > MAX_TOKEN_BYTES {
            return Err(Unreadable::Malformed);
        }
        // (2) Exactly three parts, each strict base64url: no padding, no stray bits, no white space.
        let (signing_input, signature) = token.rsplit_once('.').ok_or(Unreadable::Malformed)?;
        let (header, payload) = signing_input.split_once('.').ok_or(Unreadable::Malformed)?;
        if payload.contains('.') {
            return Err(Unreadable::Malformed);
        }
        let signature = decode(signature)?;
        // (3) A header that means one thing, and asks for nothing but to be checked with a key that is known here.
        let header = read(&decode(header)?)?;
        Ok(Self { signing_input, payload, signature, header })
    }

    /// What was signed.
    #[must_use]
    pub const fn signing_input(&self) -> &'a str {
        self.signing_input
    }

    /// The signature that has not been checked.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Which key it claims; nothing, if another issuer's token names none.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.header.kid
    }

    /// Which algorithm it claims; to be compared with the key's, never obeyed.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.header.alg
    }

    /// Which type it claims.
    #[must_use]
    pub fn token_type(&self) -> Option<&str> {
        self.header.typ.as_deref()
    }

    /// Whether the key that it names could be one of ours that is not known here yet.
    #[must_use]
    pub fn could_be_of_a_new_key(&self) -> bool {
        Algorithm::ISSUED.contains(&self.algorithm()) && KeyId::is_of_its_form(self.key_id())
    }

    /// Whose token it says it is, before anybody has vouched for it: good for nothing but finding out who could.
    #[must_use]
    pub fn claimed_issuer(&self) -> Option<String> {
        match self.claims().ok()?.remove("iss")? {
            Value::String(issuer) => Some(issuer),
            _ => None,
        }
    }

    /// What it claims: a JSON object without duplicates at any depth.
    pub(super) fn claims(&self) -> Result<Map<String, Value>, Unreadable> {
        strict_json::object(&decode(self.payload)?).map_err(|_| Unreadable::Malformed)
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Unreadable> {
    Base64UrlUnpadded::decode_vec(part).map_err(|_| Unreadable::Malformed)
}

/// The members that a header may have. Any other could change what the token means (RFC 7515, §4.1;
/// RFC 7797), and a token of ours never has one.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReadHeader {
    #[serde(deserialize_with = "algorithm")]
    alg: Algorithm,
    #[serde(default, deserialize_with = "text")]
    typ: Option<String>,
    kid: String,
}

/// Reads a header in one pass. What does not fit is looked at again for the reason.
fn read_header(json: &[u8]) -> Result<ReadHeader, Unreadable> {
    // An array of the members' values would be read as well.
    if !json.trim_ascii_start().starts_with(b"{") {
        return Err(Unreadable::Malformed);
    }
    let header: ReadHeader = serde_json::from_slice(json).map_err(|_| why_unreadable(json))?;
    if header.kid.len() > MAX_KID_BYTES {
        return Err(Unreadable::Unsupported);
    }
    Ok(header)
}

/// Members that would change what a token is, or where its key comes from (RFC 7515, §4.1; RFC 7516, §4.1; RFC 7797, §3).
const NEVER: [&str; 9] = ["b64", "crit", "cty", "enc", "jku", "jwk", "x5c", "x5u", "zip"];

/// Reads the header of another issuer's token. Members that are not understood are passed over (RFC 7515, §4).
fn read_their_header(json: &[u8]) -> Result<ReadHeader, Unreadable> {
    let mut members = strict_json::object(json).map_err(|_| Unreadable::Malformed)?;
    if NEVER.iter().any(|name| members.contains_key(*name)) {
        return Err(Unreadable::Unsupported);
    }
    let mut text = |name: &str| match members.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unreadable::Malformed),
    };
    let (alg, typ, kid) = (text("alg")?.ok_or(Unreadable::Malformed)?, text("typ")?, text("kid")?.unwrap_or_default());
    if kid.len() > MAX_KID_BYTES {
        return Err(Unreadable::Unsupported);
    }
    Ok(ReadHeader { alg: Algorithm::parse(&alg).ok_or(Unreadable::Unsupported)?, typ, kid })
}

/// A header of the right form that cannot be used is unsupported; all else is malformed.
fn why_unreadable(json: &[u8]) -> Unreadable {
    let Ok(members) = strict_json::object(json) else { return Unreadable::Malformed };
    let is_text = |name: &str| members.get(name).is_none_or(Value::is_string);
    let formed = members.contains_key("alg") && ["alg", "typ", "kid"].into_iter().all(is_text);
    if formed { Unreadable::Unsupported } else { Unreadable::Malformed }
}

fn algorithm<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Algorithm, D::Error> {
    struct Name;
    impl de::Visitor<'_> for Name {
        type Value = Algorithm;
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("the name of an algorithm")
        }
        fn visit_str<E: de::Error>(self, name: &str) -> Result<Algorithm, E> {
            Algorithm::parse(name).ok_or_else(|| E::custom("not an algorithm"))
        }
    }
    deserializer.deserialize_str(Name)
}

/// A text; unlike the default of an `Option`, not `null`.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    String::deserialize(deserializer).map(Some)
}

/// A token that lacks only its signature, and how long it may be with it, in bytes.
#[derive(Debug)]
pub struct Unsigned(String, usize);

/// An assertion is at most so long, in bytes, with its signature. Beyond half of that it leaves out what can be left out: origins'
/// servers take 8 KiB of headers, and often no more.
const MAX_ASSERTION_BYTES: usize = 8 * 1024;

/// Why a token was not made; a fault of ours.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unwritable {
    /// The claims could not be written as JSON.
    #[error("claims cannot be written: {0}")]
    Claims(String),
    /// Clients could not send it everywhere.
    #[error("a token would take {0} bytes, of at most {1}")]
    TooLong(usize, usize),
}

impl Unsigned {
    /// Writes header and claims of an access token for a key to sign.
    pub fn access(claims: &Claims, kid: &KeyId, algorithm: Algorithm) -> Result<Self, Unwritable> {
        Ok(Self(write(claims, ACCESS_TYPE, kid, algorithm)?, MAX_ISSUED_BYTES))
    }

    /// The same of an assertion. One that would be too long leaves out what the caller may do.
    pub fn assertion(claims: assertion::Claims<'_>, kid: &KeyId, algorithm: Algorithm) -> Result<Self, Unwritable> {
        let mut text = write(&claims, ASSERTION_TYPE, kid, algorithm)?;
        if text.len() > MAX_ASSERTION_BYTES / 2 {
            let shorter = assertion::Claims { scope: None, scope_left_out: true, ..claims };
            text = write(&shorter, ASSERTION_TYPE, kid, algorithm)?;
        }
        Ok(Self(text, MAX_ASSERTION_BYTES))
    }

    /// What is to be signed.
    #[must_use]
    pub fn signing_input(&self) -> &str {
        &self.0
    }

    /// The finished token.
    pub fn sign(self, signature: &[u8]) -> Result<String, Unwritable> {
        let token = format!("{}.{}", self.0, Base64UrlUnpadded::encode_string(signature));
        if token.len() > self.1 { Err(Unwritable::TooLong(token.len(), self.1)) } else { Ok(token) }
    }
}

/// Header and claims as they are signed.
fn write(claims: &impl Serialize, typ: &str, kid: &KeyId, algorithm: Algorithm) -> Result<String, Unwritable> {
    let header = Header::empty().with_key_id(kid.as_str()).with_token_type(typ);
    let claims = jwt_compact::Claims::new(claims);
    let token = External(algorithm).token(&header, &claims, &());
    let mut text = token.map_err(|error| Unwritable::Claims(error.to_string()))?;
    // An empty signature leaves its dot.
    text.pop();
    Ok(text)
}

/// An algorithm whose signatures are made elsewhere, asynchronously, by the platform. The library
/// lays out the token; it is asked neither to sign nor to verify.
struct External(Algorithm);

struct Absent;

impl JwtAlgorithm for External {
    type SigningKey = ();
    type VerifyingKey = ();
    type Signature = Absent;

    fn name(&self) -> Cow<'static, str> {
        self.0.name().into()
    }
    fn sign(&self, _key: &(), _message: &[u8]) -> Absent {
        Absent
    }
    fn verify_signature(&self, _signature: &Absent, _key: &(), _message: &[u8]) -> bool {
        false
    }
}

impl AlgorithmSignature for Absent {
    fn try_from_slice(_slice: &[u8]) -> anyhow::Result<Self> {
        Ok(Self)
    }
    fn as_bytes(&self) -> Cow<'_, [u8]> {
        (&[]).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn b64(text: &str) -> String {
        Base64UrlUnpadded::encode_string(text.as_bytes())
    }

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.{}", b64(header), b64(claims), b64("signature"))
    }

    const HEADER: &str = r#"{"alg":"EdDSA","typ":"at+jwt","kid":"k"}"#;

    fn fault(token: &str) -> Option<Unreadable> {
        Untrusted::parse(token).err()
    }

    #[test]
    fn a_well_formed_token_is_taken_apart() {
        let text = token(HEADER, r#"{"sub":"x"}"#);
        let read = Untrusted::parse(&text).unwrap();
        assert_eq!((read.algorithm(), read.key_id(), read.token_type()), (Algorithm::EdDsa, "k", Some("at+jwt")));
        assert_eq!(read.claims().unwrap().get("sub"), Some(&"x".into()));
        assert_eq!(read.signature(), b"signature");
        assert!(text.starts_with(read.signing_input()));
    }

    #[test]
    fn shape_is_strict() {
        let good = token(HEADER, "{}");
        let (input, signature) = good.rsplit_once('.').unwrap();
        for bad in [
            String::new(),
            "a".into(),
            input.into(),
            format!("{good}.x"),
            format!("{good}.."),
            format!("{good}="),
            format!(" {good}"),
            format!("{good}\n"),
            good.replace('.', ".\t"),
            // "signature" is nine bytes, so its last character has no free bits; eight bytes leave two.
            format!("{input}.AAAAAAAAAAB"),
            format!("{input}.{}", signature.replace('c', "+")),
            token(r#"{"alg":"EdDSA","alg":"none","kid":"k"}"#, "{}"),
            token(r#"{"alg":"EdDSA","alg":"EdDSA","kid":"k"}"#, "{}"),
            token(r#"{"alg":"EdDSA","typ":null,"kid":"k"}"#, "{}"),
            token(r#"["EdDSA","at+jwt","k"]"#, "{}"),
            token(r#"{"alg":"EdDSA","kid":["k"]}"#, "{}"),
            token(r#"{"alg":"EdDSA","kid":7}"#, "{}"),
            token(r#"{"kid":"k"}"#, "{}"),
            token(&"{\"a\":".repeat(200), "{}"),
            token(&format!(r#"{{"alg":"EdDSA","kid":"k","x":{}1{}}}"#, "[".repeat(900), "]".repeat(900)), "{}"),
            "x".repeat(MAX_TOKEN_BYTES + 1),
        ] {
            assert_eq!(fault(&bad), Some(Unreadable::Malformed), "{bad}");
        }
    }

    #[test]
    fn claims_are_one_object_without_duplicates() {
        for bad in ["[]", "{", "", "7", r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":1}}"#, &"{\"a\":".repeat(200)] {
            let text = token(HEADER, bad);
            assert_eq!(Untrusted::parse(&text).unwrap().claims(), Err(Unreadable::Malformed), "{bad}");
        }
        for payload in ["e30=", "e31", " e30", "e30\n", "+w", "é"] {
            let text = format!("{}.{payload}.{}", b64(HEADER), b64("signature"));
            assert_eq!(Untrusted::parse(&text).unwrap().claims(), Err(Unreadable::Malformed), "{payload}");
        }
    }

    #[test]
    fn a_header_that_asks_for_more_is_refused() {
        for extra in [
            r#""jwk":{}"#,
            r#""jku":"http://127.0.0.1/"#,
            r#""x5u":"http://127.0.0.1/"#,
            r#""x5c":[]"#,
            r#""crit":["exp"]"#,
            r#""b64":false"#,
            r#""cty":"JWT"#,
            r#""zip":"DEF"#,
            r#""enc":"A128GCM"#,
        ] {
            let quote = if extra.matches('"').count() % 2 == 1 { "\"" } else { "" };
            let header = format!(r#"{{"alg":"EdDSA","kid":"k",{extra}{quote}}}"#);
            assert_eq!(fault(&token(&header, "{}")), Some(Unreadable::Unsupported), "{header}");
        }
        assert_eq!(fault(&token(r#"{"alg":"EdDSA"}"#, "{}")), Some(Unreadable::Unsupported), "no kid");
        for alg in ["none", "NONE", "nOnE", "", "HS1", "ES256K", "RSA-OAEP"] {
            assert_eq!(fault(&token(&HEADER.replace("EdDSA", alg), "{}")), Some(Unreadable::Unsupported), "{alg}");
        }
        let long = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(129));
        assert_eq!(fault(&token(&long, "{}")), Some(Unreadable::Unsupported));
    }

    #[test]
    fn of_others_a_header_may_hold_what_means_nothing_but_not_what_changes_it() {
        let header =
            |text: &str| Untrusted::parse_theirs(&token(text, r#"{"iss":"x"}"#)).map(|token| token.claimed_issuer());
        for good in [
            r#"{"alg":"RS256"}"#,
            r#"{"alg":"RS256","kid":"k","x5t":"a","x5t#S256":"b"}"#,
            r#"{"alg":"ES256","typ":"JWT","kid":"k","org.example":{"a":[1]}}"#,
        ] {
            assert_eq!(header(good), Ok(Some("x".to_owned())), "{good}");
        }
        for name in NEVER {
            assert_eq!(
                header(&format!(r#"{{"alg":"RS256","{name}":null}}"#)).err(),
                Some(Unreadable::Unsupported),
                "{name}"
            );
        }
        assert_eq!(header(r#"{"alg":"none"}"#).err(), Some(Unreadable::Unsupported));
        let long = format!(r#"{{"alg":"RS256","kid":"{}"}}"#, "k".repeat(129));
        assert_eq!(header(&long).err(), Some(Unreadable::Unsupported));
        for bad in ["[]", "{}", r#"{"alg":7}"#, r#"{"alg":"RS256","kid":7}"#, r#"{"alg":"RS256","alg":"RS256"}"#] {
            assert_eq!(header(bad).err(), Some(Unreadable::Malformed), "{bad}");
        }
        for claims in ["{}", r#"{"iss":7}"#, "[]", r#"{"iss":"a","iss":"b"}"#] {
            let text = token(r#"{"alg":"RS256"}"#, claims);
            assert_eq!(Untrusted::parse_theirs(&text).unwrap().claimed_issuer(), None, "{claims}");
        }
    }

    #[test]
    fn a_key_that_could_be_ours_is_told_by_its_name_and_algorithm() {
        let kid = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k";
        let could = |alg: &str, kid: &str| {
            let text = token(&format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#), "{}");
            Untrusted::parse(&text).unwrap().could_be_of_a_new_key()
        };
        assert!(could("EdDSA", kid) && could("HS256", kid));
        assert!(!could("PS512", kid), "we issue none of these");
        for other in ["k", "", "../../etc/passwd", &kid[1..], &kid.replace('_', "+")] {
            assert!(!could("EdDSA", other), "{other}");
        }
    }

    #[test]
    fn a_token_over_the_limit_is_not_made() {
        let unsigned = |bytes| Unsigned("x".repeat(bytes), MAX_ISSUED_BYTES);
        // 64 bytes are 86 characters, and there is a dot.
        assert!(unsigned(MAX_ISSUED_BYTES - 87).sign(&[0; 64]).is_ok());
        assert_eq!(
            unsigned(MAX_ISSUED_BYTES - 86).sign(&[0; 64]),
            Err(Unwritable::TooLong(MAX_ISSUED_BYTES + 1, MAX_ISSUED_BYTES))
        );
    }
}
