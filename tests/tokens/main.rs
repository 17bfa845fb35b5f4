//! Tokens held to properties: nothing that differs by a bit is believed, what is issued is believed for
//! exactly its time, and no text, however it was come by, is read in two ways or breaks a parser.

#![allow(missing_docs, reason = "test names say what they show")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a test that meets the unexpected should stop there"
)]

mod bits;
mod fuzz;
mod issued;
mod remembered;

use edgewarden::{
    domain::{
        secret::SecretList,
        time::Timestamp,
        token::{
            algorithm::Algorithm,
            claims::{Audience, Claims},
            jws::{Unsigned, Untrusted},
            keyring::{KeyRing, RingKey, VerifyingKey},
            verify::{Expected, Refusal, VerifiedClaims, verify},
        },
    },
    native::crypto::NativeCrypto,
    ports::{Crypto, SealedKey, prove},
};

const ISSUER: &str = "https://auth.example.com";
/// 2026-01-01T00:00:00Z.
const NOW: i64 = 1_767_225_600;

/// A key in a ring, and what signs with it.
struct Signer {
    crypto: NativeCrypto,
    key: SealedKey,
    ring: KeyRing,
    runtime: tokio::runtime::Runtime,
}

impl Signer {
    fn new(algorithm: Algorithm) -> Self {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let master = SecretList::parse("k1:0123456789abcdefghijklmnopqrstuvwxyzABCDEFG").unwrap();
        let crypto = NativeCrypto::new(master);
        let key = runtime.block_on(crypto.make_key(algorithm)).unwrap();
        let verifying = match &key.public {
            Some(public) => VerifyingKey::Public(public.clone()),
            None => {
                VerifyingKey::Shared(runtime.block_on(crypto.shared_key(&key.kid, algorithm, &key.sealed)).unwrap())
            }
        };
        let start = Timestamp::from_secs(0);
        let ring_key = RingKey { key: verifying, publish_at: start, sign_from: start, retire_at: None };
        Self { crypto, key, ring: [ring_key].into_iter().collect(), runtime }
    }

    fn issue(&self, claims: &Claims) -> String {
        let unsigned = Unsigned::access(claims, &self.key.kid, self.key.algorithm).unwrap();
        let signature = self.signature(unsigned.signing_input());
        unsigned.sign(&signature).unwrap()
    }

    fn signature(&self, input: &str) -> Vec<u8> {
        match (&self.key.public, self.ring.keys().next().map(|key| &key.key)) {
            (Some(public), _) => {
                self.runtime.block_on(self.crypto.sign(public, &self.key.sealed, input.as_bytes())).unwrap()
            }
            (None, Some(VerifyingKey::Shared(key))) => key.sign(input.as_bytes()),
            _ => panic!("a key without a half"),
        }
    }

    /// Believes a token as the product does.
    fn believe(&self, token: &str, now: i64) -> Result<VerifiedClaims, Refusal> {
        let now = Timestamp::from_secs(now);
        let claimed = self.ring.claim(Untrusted::parse(token)?, now)?;
        let signed = self.runtime.block_on(prove(&self.crypto, claimed)).unwrap()?;
        verify(signed, Expected { issuer: ISSUER, audience: &["edgewarden".to_owned()] }, now)
    }
}

/// Claims as ours have them.
fn claims() -> Claims {
    let id = "019b76da-a800-7000-8000-000000000001";
    Claims {
        iss: ISSUER.to_owned(),
        sub: id.to_owned(),
        aud: Audience::One("edgewarden".to_owned()),
        exp: NOW + 900,
        nbf: NOW,
        iat: NOW,
        jti: edgewarden::domain::id::TokenId::parse(id).unwrap(),
        client_id: "edgewarden".to_owned(),
        sid: edgewarden::domain::id::SessionId::parse(id).unwrap(),
        ver: 1,
        auth_time: NOW,
        amr: vec!["pwd".to_owned()],
        roles: vec!["user".to_owned()],
        scope: None,
        username: Some("ada".to_owned()),
        email: None,
        email_verified: None,
        full_name: None,
    }
}
