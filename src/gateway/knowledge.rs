//! What one isolate knows: keys, roles, tokens it has verified, and what it last heard of
//! revocations. Plain data, synchronous, bounded; losing any of it costs a question, never an
//! admission.

use std::{
    collections::{HashMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use sha2::{Digest, Sha256};

use super::caller::Caller;
use crate::domain::{
    bundle::Bundle,
    id::{SessionId, TokenId},
    time::Timestamp,
    token::verify::VerifiedClaims,
};

/// Tokens remembered at once. A remembered token takes about 2 KiB.
const MAX_TOKENS: usize = 4096;
/// Revocation answers remembered at once.
const MAX_CHECKED: usize = 8192;
/// Revocations remembered at once.
const MAX_REVOKED: usize = 16_384;

/// A token's name in memory: its SHA-256 digest.
pub type TokenDigest = [u8; 32];

/// The digest of a token as it came.
#[must_use]
pub fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

/// A token that was verified, and who it makes its bearer.
#[derive(Debug)]
pub struct Remembered {
    /// What was verified.
    pub claims: VerifiedClaims,
    /// The `kid` it was verified with: it is believed no longer than its key.
    pub kid: String,
    /// Who that is.
    pub caller: Caller,
}

/// All that an isolate knows.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// Keys and roles, once they are read.
    pub bundle: Option<Arc<Bundle>>,
    tokens: HashMap<TokenDigest, Arc<Remembered>>,
    order: VecDeque<TokenDigest>,
    /// Revocations.
    pub revocations: RevocationView,
}

impl Knowledge {
    /// A token verified before.
    #[must_use]
    pub fn token(&self, digest: &TokenDigest) -> Option<&Arc<Remembered>> {
        self.tokens.get(digest)
    }

    /// Remembers a verified token; beyond `MAX_TOKENS` the oldest is forgotten.
    pub fn remember(&mut self, digest: TokenDigest, token: Arc<Remembered>) {
        if self.tokens.insert(digest, token).is_none() {
            self.order.push_back(digest);
        }
        while self.order.len() > MAX_TOKENS {
            if let Some(oldest) = self.order.pop_front() {
                self.tokens.remove(&oldest);
            }
        }
    }
}

/// What is known of one token's revocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It was revoked.
    Revoked,
    /// It was not, as of less than the bound ago.
    Good,
    /// Not known, or no longer.
    Unknown,
}

/// What this isolate last heard of revocations.
#[derive(Debug, Default)]
pub struct RevocationView {
    revoked: HashMap<String, Timestamp>,
    checked: HashMap<TokenId, Timestamp>,
}

/// The name of a session's revocation, in KV and in memory.
#[must_use]
pub fn session_key(id: SessionId) -> String {
    format!("sid:{id}")
}

/// The name of a token's revocation, in KV and in memory.
#[must_use]
pub fn token_key(id: TokenId) -> String {
    format!("jti:{id}")
}

impl RevocationView {
    /// What is known of a token at `now`, if answers may be `bound` old.
    #[must_use]
    pub fn standing(&self, claims: &VerifiedClaims, now: Timestamp, bound: Duration) -> Standing {
        if self.is_revoked(claims) {
            return Standing::Revoked;
        }
        match self.checked.get(&claims.token()) {
            Some(as_of) if now.since(*as_of) < bound => Standing::Good,
            _ => Standing::Unknown,
        }
    }

    /// Whether the token or its session is known to be revoked. Such knowledge never ages.
    #[must_use]
    pub fn is_revoked(&self, claims: &VerifiedClaims) -> bool {
        let known = |key: &str| self.revoked.contains_key(key);
        !self.revoked.is_empty() && (known(&session_key(claims.session())) || known(&token_key(claims.token())))
    }

    /// Notes a revocation that can matter until `until`.
    pub fn revoke(&mut self, key: String, until: Timestamp, now: Timestamp) {
        if self.revoked.len() >= MAX_REVOKED {
            self.revoked.retain(|_, until| *until > now);
        }
        if self.revoked.len() >= MAX_REVOKED {
            // Too many to hold: forget them together with every "good", so that each is asked again.
            self.revoked.clear();
            self.checked.clear();
        }
        self.revoked.insert(key, until);
    }

    /// Notes that a token was not revoked when it was asked at `as_of`.
    pub fn found_good(&mut self, token: TokenId, as_of: Timestamp) {
        if self.checked.len() >= MAX_CHECKED {
            self.checked.clear();
        }
        self.checked.insert(token, as_of);
    }
}
