//! The signed examples of RFC 7515 (appendix A), RFC 7520 (section 4) and RFC 8037 (appendix A), and
//! the thumbprints of RFC 7638 (section 3.1) and RFC 8037 (appendix A.3).

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::domain::token::{
    algorithm::Algorithm,
    jwk::PublicKey,
    jws::{Unreadable, Untrusted},
};
use serde::Deserialize;
use serde_json::Value;

use crate::case::{Case, Expected, Key};

const EXAMPLES: &str = include_str!("rfc.json");

#[derive(Deserialize)]
struct Example {
    source: String,
    algorithm: String,
    key: Value,
    token: String,
}

fn decode(text: &str) -> Vec<u8> {
    Base64UrlUnpadded::decode_vec(text).unwrap()
}

/// Each example, and it with one bit of the message and one of the signature turned.
pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for example in serde_json::from_str::<Vec<Example>>(EXAMPLES).unwrap() {
        let (input, signature) = example.token.rsplit_once('.').unwrap();
        let key = match example.key["k"].as_str() {
            Some(secret) => Key::Shared(decode(secret)),
            None => Key::Public(example.key.to_string()),
        };
        let good = Case {
            source: example.source,
            algorithm: Algorithm::parse(&example.algorithm).unwrap(),
            key,
            message: input.as_bytes().to_vec(),
            signature: decode(signature),
            expected: Expected::Good,
        };
        let (mut other_message, mut other_signature) = (good.clone(), good.clone());
        other_message.message[0] ^= 1;
        *other_signature.signature.last_mut().unwrap() ^= 1;
        for changed in [&mut other_message, &mut other_signature] {
            changed.expected = Expected::Bad;
        }
        cases.extend([good, other_message, other_signature]);
    }
    cases
}

/// Our parser takes none of them for an access token: they name no key, or not as text we know; and
/// the unsecured one of RFC 7515, appendix A.5, is not even a token.
#[test]
fn no_example_passes_for_a_token_of_ours() {
    for example in serde_json::from_str::<Vec<Example>>(EXAMPLES).unwrap() {
        // RFC 7520 names its keys.
        if let Ok(token) = Untrusted::parse(&example.token) {
            assert!(!token.could_be_of_a_new_key() && token.token_type().is_none(), "{}", example.source);
        }
    }
    let unsecured = "eyJhbGciOiJub25lIn0.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.";
    assert_eq!(Untrusted::parse(unsecured).err(), Some(Unreadable::Unsupported));
}

#[test]
fn thumbprints() {
    let thumbprint =
        |algorithm, members: &str| PublicKey::from_members(algorithm, members).unwrap().key_id().to_string();
    // RFC 8037, appendix A.3.
    let okp = r#"{"crv":"Ed25519","kty":"OKP","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
    assert_eq!(thumbprint(Algorithm::EdDsa, okp), "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
    // RFC 7638, section 3.1.
    let rsa = r#"{"e":"AQAB","kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"}"#;
    assert_eq!(thumbprint(Algorithm::Rs256, rsa), "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs");
}
