//! Tokens made to order, with a real key: what an attacker, a stopped clock or another issuer
//! would present.

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    domain::{
        secret::SecretList,
        token::{
            algorithm::Algorithm,
            jwk::{KeyId, PublicKey},
        },
    },
    native::crypto::NativeCrypto,
    ports::{Crypto, SealedKey},
};
use serde_json::{Value, json};

/// Reads an installation's own key: the first, which every isolate knows.
pub const READ_KEY: &str = "SELECT kid, algorithm, public_key, sealed FROM token_keys ORDER BY sign_from LIMIT 1";

/// Makes and signs tokens with one key.
pub struct Forge {
    crypto: NativeCrypto,
    pub key: SealedKey,
}

impl Forge {
    /// With a new Ed25519 key, sealed under these secrets.
    pub async fn new(master: SecretList) -> Self {
        Self::of(master, Algorithm::EdDsa).await
    }

    /// With a new key for an algorithm.
    pub async fn of(master: SecretList, algorithm: Algorithm) -> Self {
        let crypto = NativeCrypto::new(master);
        let key = crypto.make_key(algorithm).await.unwrap();
        Self { crypto, key }
    }

    /// With a key that exists, as its row has it.
    pub fn with_row(master: SecretList, kid: &str, algorithm: &str, public: Option<&str>, sealed: &str) -> Self {
        let algorithm = Algorithm::parse(algorithm).unwrap();
        let public = public.map(|members| PublicKey::from_members(algorithm, members).unwrap());
        let key = SealedKey { kid: KeyId::stored(kid.to_owned()), algorithm, public, sealed: sealed.to_owned() };
        Self { crypto: NativeCrypto::new(master), key }
    }

    pub const fn kid(&self) -> &KeyId {
        &self.key.kid
    }

    /// A header as ours have it.
    pub fn header(&self) -> Value {
        json!({ "alg": self.key.algorithm.name(), "typ": "at+jwt", "kid": self.kid().as_str() })
    }

    /// Signs any header and claims.
    pub async fn sign(&self, header: &Value, claims: &Value) -> String {
        self.sign_text(&header.to_string(), &claims.to_string()).await
    }

    /// Signs any two texts.
    pub async fn sign_text(&self, header: &str, claims: &str) -> String {
        let b64 = |text: &str| Base64UrlUnpadded::encode_string(text.as_bytes());
        let input = format!("{}.{}", b64(header), b64(claims));
        let (key, sealed) = (&self.key, self.key.sealed.as_str());
        let signature = match &key.public {
            Some(public) => self.crypto.sign(public, sealed, input.as_bytes()).await.unwrap(),
            None => self.crypto.shared_key(&key.kid, key.algorithm, sealed).await.unwrap().sign(input.as_bytes()),
        };
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
