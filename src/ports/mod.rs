//! What the rest of the product needs of the world: a few traits, each with a Workers adapter in
//! [`crate::platform`] and a host adapter in `native`.
//!
//! Ports are `Send`, so that handlers need no attribute; the Workers adapters wrap their futures.
//! Every call to a store or a limiter is bounded in time by its adapter.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;

use crate::domain::{
    id::{RequestId, RowId, SessionId, TokenId, UserId},
    mfa::TotpSecret,
    rate_limit::{Decision, Limit, LimitKey},
    revocation::{
        Entry, Versions,
        feed::{Answer, Cursor},
    },
    time::Timestamp,
    token::{
        algorithm::Algorithm,
        jwk::{KeyId, PublicKey},
        keyring::VerifyingKey,
        shared_key::SharedKey,
        verify::{Claimed, Refusal, Signed},
    },
};

mod database;
mod mailer;

pub use database::{BadRow, Database, DatabaseError, Row, Rows, Statement, Value};
pub use mailer::{MailFailure, Mailer};

/// A store, a limiter or the crypto platform could not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{port} unavailable: {message}")]
pub struct Unavailable {
    /// Which port.
    pub port: &'static str,
    /// What it said, for the log.
    pub message: String,
}

/// A key-value store: eventually consistent, for reading, never the referee.
#[async_trait]
pub trait KeyValue: Send + Sync {
    /// Reads up to 100 keys in one operation; answers in their order.
    async fn get_bulk(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable>;
    /// Writes one key that expires after `ttl_secs`, which the platform wants to be at least 60.
    async fn put(&self, key: &str, value: &str, ttl_secs: u64) -> Result<(), Unavailable>;
    /// Deletes one key.
    async fn delete(&self, key: &str) -> Result<(), Unavailable>;
}

/// Others on the network.
#[async_trait]
pub trait Outbound: Send + Sync {
    /// What is at an address: the body of a 200 to a GET, of at most `most` bytes. No redirect is followed.
    async fn get(&self, url: &str, most: usize) -> Result<String, Unavailable>;
}

/// Exact limits, one referee for each key.
#[async_trait]
pub trait RateLimiter: Send + Sync {
    /// Decides on one request under all limits that count under the key, at once.
    async fn admit(&self, key: &LimitKey, limits: &[Limit]) -> Result<Decision, Unavailable>;
}

/// The feed of revocations.
#[async_trait]
pub trait Revocations: Send + Sync {
    /// Tells it what was revoked, and what copies must be of. Once this comes back, it tells everyone who asks.
    async fn push(&self, entries: &[Entry], versions: Option<Versions>) -> Result<(), Unavailable>;
    /// Asks what came after what is known.
    async fn since(&self, cursor: Option<&Cursor>) -> Result<Answer, Unavailable>;
}

/// A new key, its private half (or the shared secret) sealed under the master key.
#[derive(Clone, Debug)]
pub struct SealedKey {
    /// Its id.
    pub kid: KeyId,
    /// Its algorithm.
    pub algorithm: Algorithm,
    /// The public half; a shared key has none.
    pub public: Option<PublicKey>,
    /// What is secret, sealed; only the adapter reads it.
    pub sealed: String,
}

/// Asymmetric signatures, and sealing. Primitives are the platform's, never ours.
#[async_trait]
pub trait Crypto: Send + Sync {
    /// Makes a key for an algorithm and seals what is secret of it, bound to its `kid`.
    async fn make_key(&self, algorithm: Algorithm) -> Result<SealedKey, Unavailable>;
    /// Makes sure that a sealed private key opens, so that signing with it cannot fail for that.
    async fn ready(&self, key: &PublicKey, sealed: &str) -> Result<(), Unavailable>;
    /// Opens a sealed shared key.
    async fn shared_key(&self, kid: &KeyId, algorithm: Algorithm, sealed: &str) -> Result<SharedKey, Unavailable>;
    /// Seals anew, under the current master key.
    async fn reseal(&self, kid: &KeyId, sealed: &str) -> Result<String, Unavailable>;
    /// Seals the secret of a user's second factor under the master key, bound to its user.
    async fn seal_totp(&self, user: UserId, secret: &TotpSecret) -> Result<String, Unavailable>;
    /// Opens one.
    async fn open_totp(&self, user: UserId, sealed: &str) -> Result<TotpSecret, Unavailable>;
    /// Signs with a sealed private key.
    async fn sign(&self, key: &PublicKey, sealed: &str, message: &[u8]) -> Result<Vec<u8>, Unavailable>;
    /// Whether a key could verify anything: that it is of its form does not say that it is a point of its curve.
    async fn is_key(&self, key: &PublicKey) -> bool;
    /// Whether the signature is the key's.
    async fn verify(&self, key: &PublicKey, message: &[u8], signature: &[u8]) -> Result<bool, Unavailable>;
}

/// Asks the key that a token names about its signature.
pub async fn prove<'a>(crypto: &dyn Crypto, token: Claimed<'a>) -> Result<Result<Signed<'a>, Refusal>, Unavailable> {
    let (message, signature) = (token.signing_input().as_bytes(), token.signature());
    let good = match token.key() {
        VerifyingKey::Public(key) => crypto.verify(key, message, signature).await?,
        VerifyingKey::Shared(key) => key.verify(message, signature),
    };
    Ok(token.answered(good))
}

/// The time.
pub trait Clock: Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// Waiting, which is not asking anyone.
#[async_trait]
pub trait Timer: Send + Sync {
    /// Comes back after about this long.
    async fn pause(&self, duration: Duration);
}

/// Random bytes fit for keys.
pub trait Rng: Send + Sync {
    /// Fills the buffer.
    fn fill(&self, buffer: &mut [u8]);
}

/// Where log lines go: one JSON object a line.
pub trait Log: Send + Sync {
    /// Writes one line.
    fn line(&self, line: &str);
}

/// All of them.
#[derive(Clone)]
pub struct Ports {
    /// D1.
    pub database: Arc<dyn Database>,
    /// KV `BLACKLIST`.
    pub blacklist: Arc<dyn KeyValue>,
    /// KV `SESSIONS`.
    pub sessions: Arc<dyn KeyValue>,
    /// The `RevocationFeed` object.
    pub revocations: Arc<dyn Revocations>,
    /// The `RateLimiter` objects.
    pub limiter: Arc<dyn RateLimiter>,
    /// Who sends mails.
    pub mailer: Arc<dyn Mailer>,
    /// Trusted issuers.
    pub outbound: Arc<dyn Outbound>,
    /// Web Crypto.
    pub crypto: Arc<dyn Crypto>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The timer.
    pub timer: Arc<dyn Timer>,
    /// Randomness.
    pub rng: Arc<dyn Rng>,
    /// The log.
    pub log: Arc<dyn Log>,
}

macro_rules! new_ids {
    ($($(#[$doc:meta])* $name:ident -> $id:ident;)*) => {
        impl Ports {
            /// Random bytes.
            #[must_use]
            pub fn random<const N: usize>(&self) -> [u8; N] {
                let mut bytes = [0; N];
                self.rng.fill(&mut bytes);
                bytes
            }

            $($(#[$doc])*
            #[must_use]
            pub fn $name(&self) -> $id {
                $id::new(self.clock.now(), &self.random())
            })*
        }
    };
}

new_ids! {
    /// A new user id.
    new_user_id -> UserId;
    /// A new session id.
    new_session_id -> SessionId;
    /// A new token id.
    new_token_id -> TokenId;
    /// A new request id.
    new_request_id -> RequestId;
    /// A new row id.
    new_row_id -> RowId;
}
