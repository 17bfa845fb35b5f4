//! Tokens made to order, with a real key: what an attacker, a stopped clock or another issuer
//! would present.

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    domain::{secret::SecretList, token::jwk::KeyId},
    native::crypto::NativeCrypto,
    ports::{Crypto, SealedKey},
};
use serde_json::{Value, json};

/// Makes and signs tokens with one key.
pub struct Forge {
    crypto: NativeCrypto,
    pub key: SealedKey,
}

impl Forge {
    /// With a new key, sealed under these secrets.
    pub async fn new(master: SecretList) -> Self {
        let crypto = NativeCrypto::new(master);
        let key = crypto.make_key().await.unwrap();
        Self { crypto, key }
    }

    /// With a key that exists.
    pub fn with_key(master: SecretList, key: SealedKey) -> Self {
        Self { crypto: NativeCrypto::new(master), key }
    }

    pub fn kid(&self) -> KeyId {
        self.key.public.key_id()
    }

    /// A header as ours have it.
    pub fn header(&self) -> Value {
        json!({ "alg": "EdDSA", "typ": "at+jwt", "kid": self.kid().as_str() })
    }

    /// Signs any header and claims.
    pub async fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string()).await
    }

    /// Signs any two texts.
    pub async fn sign_text(&self, header: &str, claims: &str) -> String {
        let b64 = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let input = format!("{}.{}", b64(header), b64(claims));
        let signature = self.crypto.sign(&self.kid(), &self.key.sealed, input.as_bytes()).await.unwrap();
        format!("{input}.{}", Base64UrlUnpadded::encode_string(&signature))
    }
}

/// The claims of a token, unverified.
pub fn claims_of(token: &str) -> Value {
    let payload = token.split('.').nth(1).unwrap();
    serde_json::from_slice(&Base64UrlUnpadded::decode_vec(payload).unwrap()).unwrap()
}

/// The claims with one changed.
pub fn with(claims: &Value, name: &str, value: Value) -> Value {
    let mut claims = claims.clone();
    claims[name] = value;
    claims
}
