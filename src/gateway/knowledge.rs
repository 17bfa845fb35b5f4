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
    bundle::{Age, Bundle},
    id::{SessionId, TokenId},
    time::Timestamp,
    token::{jwk::KeyId, verify::VerifiedClaims},
};

/// Tokens remembered at once.
const MAX_TOKENS: usize = 4096;
/// What remembered tokens may take together, in bytes.
const MAX_TOKEN_BYTES: usize = 8 << 20;
/// Keys and roles are asked for again at most this often, as long as what is known can be used.
pub const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// For a token whose key could be new, they are asked for a little more often.
const RELOAD_FOR_UNKNOWN_EVERY: Duration = Duration::from_secs(2);
/// No question takes longer: one whose request was broken off does not count for longer, either.
const LONGEST_QUESTION: Duration = Duration::from_secs(25);
/// Where asking failed, this long passes before those ask again who cannot go on without.
const RETRY_AFTER: Duration = Duration::from_secs(1);
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
    /// Who that is.
    pub caller: Caller,
}

impl Remembered {
    /// About how much memory it takes, in bytes.
    fn bytes(&self) -> usize {
        /// The fixed parts, and what maps and allocations add.
        const FIXED: usize = 1024;
        /// What a list's entry takes beside its text.
        const ENTRY: usize = 48;
        let list = |texts: &mut dyn Iterator<Item = &String>| texts.map(|text| text.len() + ENTRY).sum::<usize>();
        let (claims, caller) = (self.claims.claims(), &self.caller);
        let optional = [&claims.scope, &claims.username, &claims.email, &claims.full_name];
        // Most of what was claimed stands in the caller once more.
        FIXED
            + 2 * (claims.iss.len() + claims.sub.len() + list(&mut optional.into_iter().flatten()))
            + 3 * list(&mut claims.roles.iter())
            + list(&mut claims.amr.iter())
            + 2 * list(&mut caller.permissions.iter())
    }
}

/// All that an isolate knows.
#[derive(Debug, Default)]
pub struct Knowledge {
    /// Keys and roles, once they are read.
    pub bundle: Option<Arc<Bundle>>,
    reload_claimed_at: Option<Timestamp>,
    reading_since: Option<Timestamp>,
    read_failed_at: Option<Timestamp>,
    tokens: HashMap<TokenDigest, Arc<Remembered>>,
    order: VecDeque<TokenDigest>,
    token_bytes: usize,
    /// Revocations.
    pub revocations: RevocationView,
}

impl Knowledge {
    /// How old the copy of keys and roles is; `None` if there is none.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Age> {
        self.bundle.as_ref().map(|bundle| bundle.age(now))
    }

    /// Whether keys and roles may be asked for again: at most once in [`RELOAD_EVERY`], whoever asks
    /// for it, so that no flood of tokens becomes one of questions.
    #[must_use]
    pub fn may_reload(&self, now: Timestamp) -> bool {
        self.may_reload_after(RELOAD_EVERY, now)
    }

    /// The same for a token whose key could be new.
    #[must_use]
    pub fn may_reload_for_unknown(&self, now: Timestamp) -> bool {
        self.may_reload_after(RELOAD_FOR_UNKNOWN_EVERY, now)
    }

    fn may_reload_after(&self, pause: Duration, now: Timestamp) -> bool {
        self.reload_claimed_at.is_none_or(|at| now.since(at) >= pause || now < at)
    }

    /// Whether somebody is asking for them just now.
    #[must_use]
    pub fn is_being_read(&self, now: Timestamp) -> bool {
        self.reading_since.is_some_and(|since| now.since(since) < LONGEST_QUESTION && now >= since)
    }

    /// Notes that they are asked for.
    pub const fn reading(&mut self, now: Timestamp) {
        self.reload_claimed_at = Some(now);
        self.reading_since = Some(now);
    }

    /// Whether asking for keys and roles failed a moment ago, so that asking again would hardly help.
    #[must_use]
    pub fn failed_lately(&self, now: Timestamp) -> bool {
        self.read_failed_at.is_some_and(|at| now.since(at) < RETRY_AFTER && now >= at)
    }

    /// Whether the last time that they were asked for, that failed.
    #[must_use]
    pub const fn last_read_failed(&self) -> bool {
        self.read_failed_at.is_some()
    }

    /// Notes that asking failed.
    pub const fn read_failed(&mut self, now: Timestamp) {
        self.reading_since = None;
        self.read_failed_at = Some(now);
    }

    /// Takes the permission of [`Knowledge::may_reload`].
    pub fn claim_reload(&mut self, now: Timestamp) -> bool {
        let may = self.may_reload(now);
        if may {
            self.reload_claimed_at = Some(now);
        }
        may
    }

    /// Takes over a copy of keys and roles that was read, unless a later one came first.
    pub fn take_over(&mut self, bundle: Bundle) -> Arc<Bundle> {
        if let Some(known) = &self.bundle {
            // A change and a reading may pass each other. An older version that is read later than that
            // is what a restored database has.
            let overtaken =
                known.keys_version > bundle.keys_version && bundle.as_of.since(known.as_of) < LONGEST_QUESTION;
            let late = known.keys_version == bundle.keys_version && known.as_of > bundle.as_of;
            if overtaken || late {
                self.reading_since = None;
                self.read_failed_at = None;
                return known.clone();
            }
        }
        self.replace(bundle)
    }

    /// Takes over a copy that came of a change made here. Where roles give something else now, remembered
    /// tokens are forgotten: who their bearers are was worked out before.
    pub fn replace(&mut self, bundle: Bundle) -> Arc<Bundle> {
        self.reading_since = None;
        self.read_failed_at = None;
        if self.bundle.as_ref().is_some_and(|known| known.roles != bundle.roles) {
            self.tokens.clear();
            self.order.clear();
            self.token_bytes = 0;
        }
        let bundle = Arc::new(bundle);
        self.bundle = Some(bundle.clone());
        bundle
    }

    /// A token verified before.
    #[must_use]
    pub fn token(&self, digest: &TokenDigest) -> Option<&Arc<Remembered>> {
        self.tokens.get(digest)
    }

    /// Remembers a verified token. Of too many, or of what takes too much, the oldest are forgotten.
    pub fn remember(&mut self, digest: TokenDigest, token: Arc<Remembered>) {
        self.token_bytes += token.bytes();
        match self.tokens.insert(digest, token) {
            None => self.order.push_back(digest),
            Some(before) => self.token_bytes = self.token_bytes.saturating_sub(before.bytes()),
        }
        while self.order.len() > MAX_TOKENS || self.token_bytes > MAX_TOKEN_BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            let forgotten = self.tokens.remove(&oldest).map_or(0, |token| token.bytes());
            self.token_bytes = self.token_bytes.saturating_sub(forgotten);
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

/// The name of a signing key's revocation, in KV and in memory.
#[must_use]
pub fn signing_key_key(id: &KeyId) -> String {
    format!("kid:{id}")
}

/// The names under which a token may be revoked.
#[must_use]
pub fn keys_of(claims: &VerifiedClaims) -> [String; 3] {
    [session_key(claims.session()), token_key(claims.token()), signing_key_key(claims.key())]
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

    /// Whether the token, its session or its key is known to be revoked. Such knowledge never ages.
    #[must_use]
    pub fn is_revoked(&self, claims: &VerifiedClaims) -> bool {
        !self.revoked.is_empty() && keys_of(claims).iter().any(|key| self.revoked.contains_key(key))
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
