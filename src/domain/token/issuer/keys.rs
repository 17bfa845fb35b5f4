//! The keys of another issuer, as its key set has them (RFC 7517).

use std::sync::Arc;

use serde_json::{Map, Value};

use crate::domain::{
    strict_json,
    time::Timestamp,
    token::{
        algorithm::Algorithm,
        jwk::{KeyId, PublicKey},
        jws::Untrusted,
        keyring::{RingKey, VerifyingKey},
        verify::{Claimed, Refusal},
    },
};

/// A longer key set is not read, in bytes.
pub const MAX_KEY_SET_BYTES: usize = 64 * 1024;
/// What a key is made of (RFC 7518, §6; RFC 8037, §2), and nothing private.
const PUBLIC_MEMBERS: [&str; 6] = ["crv", "e", "kty", "n", "x", "y"];

/// Keys that an issuer has published, each for one algorithm.
#[derive(Clone, Debug, Default)]
pub struct TheirKeys(Vec<(Option<String>, Arc<RingKey>)>);

/// Something that is not a key set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoKeySet {
    /// It is longer than [`MAX_KEY_SET_BYTES`].
    #[error("longer than 64 KiB")]
    TooLong,
    /// It is not a JSON object with `keys`.
    #[error("not a JWK Set")]
    NotASet,
}

impl TheirKeys {
    /// Reads a key set. A key that cannot be used with one of `algorithms` is passed over, as RFC 7517, §5 says.
    ///
    /// There may be none: whoever withdraws all keys has none.
    ///
    /// # Errors
    /// It is none: then what was known before is better.
    pub fn parse(json: &[u8], algorithms: &[Algorithm]) -> Result<Self, NoKeySet> {
        if json.len() > MAX_KEY_SET_BYTES {
            return Err(NoKeySet::TooLong);
        }
        let set = strict_json::object(json).map_err(|_| NoKeySet::NotASet)?;
        let Some(Value::Array(entries)) = set.get("keys") else { return Err(NoKeySet::NotASet) };
        let mut keys: Vec<(Option<String>, Arc<RingKey>)> = Vec::new();
        for entry in entries.iter().filter_map(Value::as_object).filter(|entry| is_for_signatures(entry)) {
            let kid = match entry.get("kid") {
                None => None,
                Some(Value::String(kid)) => Some(kid.clone()),
                Some(_) => continue,
            };
            for key in for_each_algorithm(entry, algorithms) {
                let is_known = keys.iter().any(|(other, known)| *other == kid && is_same(known, &key));
                if !is_known {
                    keys.push((kid.clone(), Arc::new(ring_key(key))));
                }
            }
        }
        Ok(Self(keys))
    }

    /// Each of them.
    pub fn keys(&self) -> impl Iterator<Item = &PublicKey> {
        self.0.iter().filter_map(|(_, key)| match &key.key {
            VerifyingKey::Public(key) => Some(key),
            VerifyingKey::Shared(_) => None,
        })
    }

    /// Leaves out those that are none.
    pub fn without(&mut self, none: &[KeyId]) {
        self.0.retain(|(_, key)| !none.contains(key.kid()));
    }

    /// Whether none of it can be used.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Puts beside a token the key that it names; or, if it names none, the only one that there is for its algorithm.
    pub fn claim<'a>(&self, token: Untrusted<'a>) -> Result<Claimed<'a>, Refusal> {
        let named =
            || self.0.iter().filter(|(kid, _)| token.key_id().is_empty() || kid.as_deref() == Some(token.key_id()));
        let mut fitting = named().filter(|(_, key)| key.algorithm() == token.algorithm());
        match (fitting.next(), fitting.next()) {
            (Some((_, key)), None) => Claimed::new(token, key.clone()),
            // A key is for the algorithms that it is for, whatever a token says.
            (None, _) if !token.key_id().is_empty() && named().next().is_some() => Err(Refusal::BadSignature),
            _ => Err(Refusal::UnknownKey),
        }
    }

    /// Whether this very key is among them.
    #[must_use]
    pub fn has(&self, key: &KeyId, algorithm: Algorithm) -> bool {
        self.0.iter().any(|(_, known)| known.kid() == key && known.algorithm() == algorithm)
    }
}

/// Whether a key says that it is for something else (RFC 7517, §4.2 and §4.3).
fn is_for_signatures(entry: &Map<String, Value>) -> bool {
    let verifies = |ops: &Value| ops.as_array().is_some_and(|ops| ops.iter().any(|op| op == "verify"));
    entry.get("use").is_none_or(|usage| usage == "sig") && entry.get("key_ops").is_none_or(verifies)
}

/// A key for each algorithm that it may be for: the one that it says, or else all that its kind is for.
fn for_each_algorithm(entry: &Map<String, Value>, algorithms: &[Algorithm]) -> Vec<PublicKey> {
    let said = entry.get("alg");
    let is_meant = |algorithm: &&Algorithm| said.is_none_or(|said| said == algorithm.name());
    let public: Map<String, Value> = PUBLIC_MEMBERS
        .into_iter()
        .filter_map(|name| entry.get(name).map(|value| (name.to_owned(), value.clone())))
        .collect();
    let json = Value::Object(public).to_string();
    let asymmetric = algorithms.iter().filter(|algorithm| !algorithm.is_symmetric());
    asymmetric.filter(is_meant).filter_map(|algorithm| PublicKey::from_members(*algorithm, &json).ok()).collect()
}

fn is_same(known: &RingKey, key: &PublicKey) -> bool {
    known.kid() == key.key_id() && known.algorithm() == key.algorithm()
}

/// From when and until when it is used is its issuer's business: as long as it is published.
const fn ring_key(key: PublicKey) -> RingKey {
    let always = Timestamp::from_secs(0);
    RingKey { key: VerifyingKey::Public(key), publish_at: always, sign_from: always, retire_at: None }
}

#[cfg(test)]
mod tests {
    use base64ct::{Base64UrlUnpadded, Encoding};
    use serde_json::json;

    use super::*;

    const X: &str = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo";

    fn rsa() -> Value {
        json!({ "kty": "RSA", "e": "AQAB", "n": format!("{}w", "_".repeat(341)) })
    }

    fn okp(more: &Value) -> Value {
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": X });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    }

    fn parse(keys: &[Value], algorithms: &[Algorithm]) -> Result<TheirKeys, NoKeySet> {
        TheirKeys::parse(json!({ "keys": keys }).to_string().as_bytes(), algorithms)
    }

    /// Which key a token of that header gets, and if none, why not.
    fn claimed(keys: &TheirKeys, header: &Value, signature_bytes: usize) -> Result<String, Refusal> {
        let encode = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        let text = format!("{}.e30.{}", encode(header.to_string().as_bytes()), encode(&vec![1; signature_bytes]));
        let token = Untrusted::parse_theirs(&text).unwrap();
        keys.claim(token).map(|claimed| claimed.key().kid().as_str().to_owned())
    }

    #[test]
    fn a_key_is_found_by_its_name_and_used_for_its_algorithm_alone() {
        let all = [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Ps512];
        let mut named = rsa();
        named["kid"] = "r".into();
        let keys =
            parse(&[okp(&json!({ "kid": "o", "alg": "EdDSA", "use": "sig", "x5t": "a" })), named], &all).unwrap();
        assert!(claimed(&keys, &json!({ "alg": "EdDSA", "kid": "o" }), 64).is_ok());
        for alg in ["RS256", "PS512"] {
            assert!(
                claimed(&keys, &json!({ "alg": alg, "kid": "r" }), 256).is_ok(),
                "an RSA key that names none is for each"
            );
        }
        for (header, bytes, why) in [
            (json!({ "alg": "RS384", "kid": "r" }), 256, Refusal::BadSignature),
            (json!({ "alg": "EdDSA", "kid": "r" }), 64, Refusal::BadSignature),
            (json!({ "alg": "HS256", "kid": "o" }), 32, Refusal::BadSignature),
            (json!({ "alg": "EdDSA", "kid": "o" }), 63, Refusal::BadSignature),
            (json!({ "alg": "EdDSA", "kid": "x" }), 64, Refusal::UnknownKey),
        ] {
            assert_eq!(claimed(&keys, &header, bytes), Err(why), "{header}");
        }
    }

    #[test]
    fn a_token_that_names_no_key_is_of_the_only_one_that_fits() {
        let other = json!({ "kty": "OKP", "crv": "Ed25519", "x": format!("{}A", "B".repeat(42)), "kid": "2" });
        let token = json!({ "alg": "EdDSA" });
        let one = parse(&[okp(&json!({ "kid": "1" })), rsa()], &[Algorithm::EdDsa, Algorithm::Rs256]).unwrap();
        assert!(claimed(&one, &token, 64).is_ok());
        let two = parse(&[okp(&json!({ "kid": "1" })), other], &[Algorithm::EdDsa]).unwrap();
        assert_eq!(claimed(&two, &token, 64), Err(Refusal::UnknownKey));
        let twice = parse(&[okp(&json!({ "kid": "1" })), okp(&json!({ "kid": "1" }))], &[Algorithm::EdDsa]).unwrap();
        assert!(claimed(&twice, &token, 64).is_ok(), "the same key twice is one");
    }

    #[test]
    fn keys_for_something_else_are_passed_over() {
        let algorithms = [Algorithm::EdDsa, Algorithm::Rs256, Algorithm::Hs256];
        for useless in [
            okp(&json!({ "use": "enc" })),
            okp(&json!({ "key_ops": ["sign"] })),
            okp(&json!({ "key_ops": "verify" })),
            okp(&json!({ "alg": "ES256" })),
            okp(&json!({ "alg": 7 })),
            okp(&json!({ "kid": 7 })),
            okp(&json!({ "crv": "Ed448" })),
            okp(&json!({ "x": "AAAA" })),
            json!({ "kty": "oct", "k": "c2VjcmV0", "alg": "HS256" }),
            json!({ "kty": "RSA", "e": "AQAB", "n": "AQAB" }),
            json!("key"),
            json!({}),
        ] {
            assert!(parse(std::slice::from_ref(&useless), &algorithms).unwrap().is_empty(), "{useless}");
            assert!(!parse(&[useless, okp(&json!({ "key_ops": ["verify"] }))], &algorithms).unwrap().is_empty());
        }
        assert!(parse(&[rsa()], &[Algorithm::EdDsa]).unwrap().is_empty(), "not for what is not taken");
    }

    #[test]
    fn what_is_no_key_set_is_told_as_such() {
        let parse = |text: &str| TheirKeys::parse(text.as_bytes(), &[Algorithm::EdDsa]).err();
        for text in ["", "[]", "{", "{}", r#"{"keys":{}}"#, r#"{"keys":[],"keys":[]}"#, "<html>"] {
            assert_eq!(parse(text), Some(NoKeySet::NotASet), "{text}");
        }
        assert_eq!(parse(r#"{"keys":[]}"#), None, "whoever withdraws all has none");
        let padded = format!("{{\"keys\":[]{}}}", " ".repeat(MAX_KEY_SET_BYTES));
        assert_eq!(parse(&padded), Some(NoKeySet::TooLong));
    }
}
