//! The issuer that the shipped policy trusts, as tests play it.

use serde_json::{Value, json};

use crate::common::forge::Forge;

/// What it calls itself.
pub const ISSUER: &str = "https://issuer.example";

/// The claims of a token that is taken, of somebody in these groups.
pub fn claims(now: i64, groups: &[&str]) -> Value {
    json!({ "iss": ISSUER, "sub": "ada", "aud": "edgewarden", "iat": now, "exp": now + 600, "groups": groups })
}

/// A token of it.
pub async fn token(forge: &Forge, now: i64, groups: &[&str]) -> String {
    forge.sign(&header(forge), &claims(now, groups)).await
}

/// The header of one.
pub fn header(forge: &Forge) -> Value {
    json!({ "alg": forge.key.algorithm.name(), "typ": "JWT", "kid": forge.kid().as_str(), "x5t": "ignored" })
}

/// A key set of these keys.
pub fn key_set(forges: &[&Forge]) -> String {
    let key = |forge: &&Forge| {
        let public = forge.key.public.as_ref().unwrap();
        let mut jwk: Value = serde_json::from_str(&public.canonical()).unwrap();
        jwk["kid"] = forge.kid().as_str().into();
        jwk["alg"] = forge.key.algorithm.name().into();
        jwk["use"] = "sig".into();
        jwk
    };
    json!({ "keys": forges.iter().map(key).collect::<Vec<_>>() }).to_string()
}
