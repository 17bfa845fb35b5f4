//! The algorithms of JOSE in the words of Web Crypto.

use js_sys::{Array, JSON, Object, Reflect, Uint8Array};
use wasm_bindgen::{JsCast, JsValue};

use super::{Failure, Outcome};
use crate::domain::token::algorithm::{Algorithm, Family};

/// RSA keys that are made have this many bits.
const NEW_RSA_BITS: u32 = 2048;
/// And this exponent, big-endian: 65537.
const NEW_RSA_EXPONENT: [u8; 3] = [1, 0, 1];

fn object(members: &[(&str, JsValue)]) -> Outcome<Object> {
    let object = Object::new();
    for (name, value) in members {
        Reflect::set(&object, &(*name).into(), value)?;
    }
    Ok(object)
}

fn hash(algorithm: Algorithm) -> JsValue {
    format!("SHA-{}", algorithm.digest_bytes() * 8).into()
}

fn name(algorithm: Algorithm) -> Outcome<JsValue> {
    Ok(match algorithm.family() {
        Family::EdDsa => "Ed25519".into(),
        Family::Ecdsa(_) => "ECDSA".into(),
        Family::RsaPkcs1 => "RSASSA-PKCS1-v1_5".into(),
        Family::RsaPss => "RSA-PSS".into(),
        Family::Hmac => return Err(Failure("no asymmetric algorithm".to_owned())),
    })
}

/// What a key is imported for.
pub(super) fn of_key(algorithm: Algorithm) -> Outcome<Object> {
    let name = ("name", name(algorithm)?);
    match algorithm.family() {
        Family::Ecdsa(curve) => object(&[name, ("namedCurve", curve.name().into())]),
        Family::RsaPkcs1 | Family::RsaPss => object(&[name, ("hash", hash(algorithm))]),
        Family::EdDsa | Family::Hmac => object(&[name]),
    }
}

/// What a key is made for.
pub(super) fn of_new_key(algorithm: Algorithm) -> Outcome<Object> {
    let parameters = of_key(algorithm)?;
    if matches!(algorithm.family(), Family::RsaPkcs1 | Family::RsaPss) {
        Reflect::set(&parameters, &"modulusLength".into(), &NEW_RSA_BITS.into())?;
        Reflect::set(&parameters, &"publicExponent".into(), &Uint8Array::from(NEW_RSA_EXPONENT.as_slice()))?;
    }
    Ok(parameters)
}

/// How a signature is made and checked.
pub(super) fn of_signature(algorithm: Algorithm) -> Outcome<Object> {
    let name = ("name", name(algorithm)?);
    match algorithm.family() {
        Family::Ecdsa(_) => object(&[name, ("hash", hash(algorithm))]),
        Family::RsaPss => {
            let salt = u32::try_from(algorithm.digest_bytes()).unwrap_or_default();
            object(&[name, ("saltLength", salt.into())])
        }
        Family::EdDsa | Family::RsaPkcs1 | Family::Hmac => object(&[name]),
    }
}

/// The members of an exported JWK that a key cannot do without (RFC 7638, §3.2), as JSON.
pub(super) fn required_members(algorithm: Algorithm, jwk: &JsValue) -> Outcome<String> {
    let names: &[&str] = match algorithm.family() {
        Family::EdDsa => &["crv", "kty", "x"],
        Family::Ecdsa(_) => &["crv", "kty", "x", "y"],
        Family::RsaPkcs1 | Family::RsaPss => &["e", "kty", "n"],
        Family::Hmac => &[],
    };
    let names: Array = names.iter().map(|name| JsValue::from(*name)).collect();
    Ok(JSON::stringify_with_replacer(jwk, names.unchecked_ref())?.into())
}
