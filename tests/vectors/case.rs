//! One question about a signature, and its answers.

use base64ct::{Base64UrlUnpadded, Encoding};
use edgewarden::{
    domain::token::{algorithm::Algorithm, jwk::PublicKey, shared_key::SharedKey},
    ports::Crypto,
};
use serde_json::{Value, json};

/// What must come of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    Good,
    Bad,
    Either,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    Good,
    Bad,
    /// The key cannot be one of its algorithm.
    NoKey,
    /// The platform will not take the key.
    Refused(String),
}

impl Answer {
    pub fn parse(text: &str) -> Self {
        match text {
            "good" => Self::Good,
            "bad" => Self::Bad,
            "no key" => Self::NoKey,
            other => Self::Refused(other.to_owned()),
        }
    }
}

#[derive(Clone, Debug)]
pub enum Key {
    /// The required members of a JWK.
    Public(String),
    Shared(Vec<u8>),
}

#[derive(Clone, Debug)]
pub struct Case {
    pub source: String,
    pub algorithm: Algorithm,
    pub key: Key,
    pub message: Vec<u8>,
    pub signature: Vec<u8>,
    pub expected: Expected,
}

impl Case {
    /// As the build in workerd wants it.
    pub fn json(&self) -> Value {
        let b64 = |bytes: &[u8]| Base64UrlUnpadded::encode_string(bytes);
        let (members, secret) = match &self.key {
            Key::Public(members) => (Some(members.clone()), None),
            Key::Shared(secret) => (None, Some(b64(secret))),
        };
        json!({
            "algorithm": self.algorithm.name(),
            "members": members,
            "secret": secret,
            "message": b64(&self.message),
            "signature": b64(&self.signature),
        })
    }

    /// Asks an adapter, as every token is asked about.
    pub async fn ask(&self, crypto: &dyn Crypto) -> Answer {
        let good = match &self.key {
            Key::Shared(secret) => match SharedKey::new(self.algorithm, secret) {
                Ok(key) => Ok(key.verify(&self.message, &self.signature)),
                Err(_) => return Answer::NoKey,
            },
            Key::Public(members) => match PublicKey::from_members(self.algorithm, members) {
                Ok(key) if self.signature.len() != key.signature_bytes() => Ok(false),
                Ok(key) => crypto.verify(&key, &self.message, &self.signature).await,
                Err(_) => return Answer::NoKey,
            },
        };
        match good {
            Ok(true) => Answer::Good,
            Ok(false) => Answer::Bad,
            Err(error) => Answer::Refused(error.to_string()),
        }
    }
}
