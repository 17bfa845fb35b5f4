//! The compact serialisation of a signed token (RFC 7515, §7.1), read strictly (RFC 8725).
//!
//! What leaves here is still [`Untrusted`]: well-formed, and nothing more. Signature, key, issuer
//! and times are [`super::verify`]'s business.

use std::borrow::Cow;

use base64ct::{Base64UrlUnpadded, Encoding};
use jwt_compact::{Algorithm as JwtAlgorithm, AlgorithmExt, AlgorithmSignature, Header, UntrustedToken};
use serde_json::{Map, Value};

use super::{
    claims::Claims,
    jwk::{Algorithm, SigningKeyRef},
};
use crate::domain::strict_json;

/// A longer token is refused before it is parsed. Ours are under 4 KiB.
pub const MAX_TOKEN_BYTES: usize = 8 * 1024;
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
    /// It asks for something that is never done: a key by reference or value, `crit`, `b64`,
    /// another content type.
    #[error("unsupported")]
    Unsupported,
}

/// A well-formed token that nobody has vouched for.
#[derive(Debug)]
pub struct Untrusted<'a> {
    signing_input: &'a str,
    signature: Vec<u8>,
    algorithm: String,
    key_id: String,
    token_type: Option<String>,
    claims: Map<String, Value>,
}

impl<'a> Untrusted<'a> {
    /// Reads a compact token.
    ///
    /// # Errors
    /// See [`Unreadable`]. No header member ever causes a fetch.
    pub fn parse(token: &'a str) -> Result<Self, Unreadable> {
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
        // (3) JSON objects that mean one thing.
        let mut header = strict_json::object(&decode(header)?).map_err(|_| Unreadable::Malformed)?;
        let claims = strict_json::object(&decode(payload)?).map_err(|_| Unreadable::Malformed)?;
        // (4) The header may say these three things. Anything else could change what the token
        //     means (RFC 7515, §4.1; RFC 7797), and a token of ours never says it.
        let algorithm = text(&mut header, "alg")?.ok_or(Unreadable::Malformed)?;
        let token_type = text(&mut header, "typ")?;
        let key_id = text(&mut header, "kid")?.filter(|kid| kid.len() <= MAX_KID_BYTES);
        if !header.is_empty() {
            return Err(Unreadable::Unsupported);
        }
        let key_id = key_id.ok_or(Unreadable::Unsupported)?;
        // (5) The library reads it too: it must find nothing that these steps missed.
        UntrustedToken::new(token).map_err(|_| Unreadable::Malformed)?;
        Ok(Self { signing_input, signature, algorithm, key_id, token_type, claims })
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

    /// Which key it claims.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Which algorithm it claims; to be compared with the key's, never obeyed.
    #[must_use]
    pub fn algorithm(&self) -> &str {
        &self.algorithm
    }

    /// Which type it claims.
    #[must_use]
    pub fn token_type(&self) -> Option<&str> {
        self.token_type.as_deref()
    }

    /// What it claims.
    pub(super) fn into_claims(self) -> Map<String, Value> {
        self.claims
    }
}

fn decode(part: &str) -> Result<Vec<u8>, Unreadable> {
    Base64UrlUnpadded::decode_vec(part).map_err(|_| Unreadable::Malformed)
}

fn text(header: &mut Map<String, Value>, name: &str) -> Result<Option<String>, Unreadable> {
    match header.remove(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(Unreadable::Malformed),
    }
}

/// A token that lacks only its signature.
#[derive(Debug)]
pub struct Unsigned(String);

/// The claims could not be written as JSON; a fault of ours.
#[derive(Debug, thiserror::Error)]
#[error("claims cannot be written: {0}")]
pub struct Unwritable(String);

impl Unsigned {
    /// Writes header and claims of an access token for `key` to sign.
    pub fn access(claims: &Claims, key: &SigningKeyRef) -> Result<Self, Unwritable> {
        let header = Header::empty().with_key_id(key.kid.as_str()).with_token_type(ACCESS_TYPE);
        let claims = jwt_compact::Claims::new(claims);
        let mut text =
            External(key.algorithm).token(&header, &claims, &()).map_err(|error| Unwritable(error.to_string()))?;
        // An empty signature leaves its dot.
        text.pop();
        Ok(Self(text))
    }

    /// What is to be signed.
    #[must_use]
    pub fn signing_input(&self) -> &str {
        &self.0
    }

    /// The finished token.
    #[must_use]
    pub fn sign(self, signature: &[u8]) -> String {
        format!("{}.{}", self.0, Base64UrlUnpadded::encode_string(signature))
    }
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
        assert_eq!((read.algorithm(), read.key_id(), read.token_type()), ("EdDSA", "k", Some("at+jwt")));
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
            token(HEADER, "[]"),
            token(HEADER, r#"{"a":1,"a":1}"#),
            token(r#"{"alg":"EdDSA","alg":"none","kid":"k"}"#, "{}"),
            token(r#"{"alg":"EdDSA","kid":["k"]}"#, "{}"),
            token(r#"{"alg":"EdDSA","kid":7}"#, "{}"),
            token(r#"{"kid":"k"}"#, "{}"),
            token(HEADER, &"{\"a\":".repeat(200)),
            "x".repeat(MAX_TOKEN_BYTES + 1),
        ] {
            assert_eq!(fault(&bad), Some(Unreadable::Malformed), "{bad}");
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
        let long = format!(r#"{{"alg":"EdDSA","kid":"{}"}}"#, "k".repeat(129));
        assert_eq!(fault(&token(&long, "{}")), Some(Unreadable::Unsupported));
    }
}
