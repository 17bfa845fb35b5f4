//! What one isolate knows: keys, roles, the policy, tokens it has verified, and its view of revocations. Plain data,
//! synchronous, bounded; losing any of it costs a question, never an admission.

use std::{sync::Arc, time::Duration};

use sha2::{Digest, Sha256};

use super::{
    api_key::KeyFound,
    assertion::{Asserted, AssertedTo},
    caller::Caller,
    issuers::Issuers,
    memory::{Memory, Weigh},
    outsider::Taken,
    rules::{Reader, Rules},
    session::SessionFound,
    uses::Uses,
    view::{CredentialId, RevocationView},
};
use crate::domain::{
    bundle::{Age, Bundle, Heard},
    id::{ApiKeyId, SessionId},
    revocation::feed::{Answer, Pulled},
    time::Timestamp,
    token::verify::VerifiedClaims,
};

/// Tokens remembered at once, and as many sessions, and API keys.
const MAX_REMEMBERED: usize = 4096;
/// What remembered tokens may take together, in bytes, and sessions and API keys as much.
const MAX_REMEMBERED_BYTES: usize = 8 << 20;
/// Keys and roles are asked for again at most this often, as long as what is known can be used.
pub const RELOAD_EVERY: Duration = Duration::from_secs(10);
/// For a token whose key could be new, they are asked for a little more often.
const RELOAD_FOR_UNKNOWN_EVERY: Duration = Duration::from_secs(2);
/// No question takes longer: one whose request was broken off does not count for longer, either.
const LONGEST_QUESTION: Duration = Duration::from_secs(25);
/// Where asking failed, this long passes before those ask again who cannot go on without.
const RETRY_AFTER: Duration = Duration::from_secs(1);
/// A token's name in memory, or an API key's: its SHA-256 digest.
pub type TokenDigest = [u8; 32];

/// The digest of a token as it came.
#[must_use]
pub fn digest(token: &str) -> TokenDigest {
    Sha256::digest(token.as_bytes()).into()
}

/// What goes by the beginning of a digest: a credential that has no id of ours.
#[must_use]
pub fn credential(digest: &TokenDigest) -> CredentialId {
    digest.first_chunk().copied().unwrap_or_default()
}

/// A token that was verified, and who it makes its bearer.
#[derive(Debug)]
pub struct Remembered {
    /// What was verified.
    pub claims: VerifiedClaims,
    /// Who that is.
    pub caller: Caller,
}

impl Weigh for Remembered {
    fn bytes(&self) -> usize {
        let claims = self.claims.claims();
        // Roles may be claimed that there are not any more, which a caller has not.
        let texts = [&claims.scope, &claims.full_name].into_iter().flatten().chain(&claims.amr).chain(&claims.roles);
        // Most of what was claimed stands in the caller.
        2 * self.caller.bytes() + texts.map(String::len).sum::<usize>()
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
    tokens: Memory<TokenDigest, Remembered, MAX_REMEMBERED, MAX_REMEMBERED_BYTES>,
    sessions: Memory<SessionId, SessionFound, MAX_REMEMBERED, MAX_REMEMBERED_BYTES>,
    keys: Memory<TokenDigest, KeyFound, MAX_REMEMBERED, MAX_REMEMBERED_BYTES>,
    taken: Memory<TokenDigest, Taken, MAX_REMEMBERED, MAX_REMEMBERED_BYTES>,
    assertions: Memory<AssertedTo, Asserted, MAX_REMEMBERED, MAX_REMEMBERED_BYTES>,
    /// Which policy decides.
    pub rules: Rules,
    /// When it was last heard that the copy is of the versions that it must be.
    confirmed_at: Option<Timestamp>,
    /// The keys of trusted issuers.
    pub issuers: Issuers,
    /// Revocations.
    pub view: RevocationView,
    /// Which sessions were used.
    pub uses: Uses<SessionId>,
    /// Which API keys were used.
    pub key_uses: Uses<ApiKeyId>,
}

impl Knowledge {
    /// Nothing, with what policies can be read by.
    #[must_use]
    pub fn new(reader: Arc<Reader>) -> Self {
        Self { rules: Rules::new(reader), ..Self::default() }
    }

    /// How old the copy of keys and roles is; `None` if there is none.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Option<Age> {
        self.bundle.as_ref().map(|bundle| bundle.age(self.heard(), self.confirmed_at, now))
    }

    /// What was last heard of versions.
    fn heard(&self) -> Option<Heard> {
        let (versions, order) = self.view.versions()?;
        Some(Heard { versions, order })
    }

    /// Takes what the feed said to a question that was put at `as_of`.
    pub fn hear(&mut self, answer: Answer, as_of: Timestamp, now: Timestamp) {
        self.view.heard(answer, as_of, now);
        self.confirm();
    }

    /// Takes a part of what the record said to a question that was put at `as_of`.
    pub fn read(&mut self, pulled: Pulled, as_of: Timestamp, now: Timestamp) {
        self.view.read(pulled, as_of, now);
        self.confirm();
    }

    /// A copy of the versions that it must be is as good as read when that was heard.
    fn confirm(&mut self) {
        let heard = self.view.versions().map(|(versions, _)| versions);
        if self.bundle.as_ref().is_some_and(|bundle| Some(bundle.versions) == heard) {
            self.confirmed_at = self.view.as_of();
        }
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

    /// Takes over keys and roles that were read from the record, unless later ones came first.
    pub fn take_over(&mut self, bundle: Bundle) -> Arc<Bundle> {
        if let Some(known) = self.bundle.as_ref().filter(|known| !known.is_copy) {
            let (theirs, ours) = (bundle.versions, known.versions);
            let is_newer = theirs.max(ours) != ours;
            // A change and a reading may pass each other. An older version that is read later than that
            // is what a restored database has.
            let overtaken = theirs != ours && bundle.as_of.since(known.as_of) < LONGEST_QUESTION;
            if !is_newer && (overtaken || known.as_of > bundle.as_of) {
                let known = known.clone();
                self.reading_since = None;
                self.read_failed_at = None;
                return known;
            }
        }
        self.replace(bundle)
    }

    /// Takes over a copy of what someone else read: where nothing is known, or where that is of another version than it
    /// must be and the copy is not.
    pub fn take_copy(&mut self, copy: Bundle) {
        let is_current = self.view.versions().is_none_or(|(versions, _)| versions == copy.versions);
        let has_better = self.bundle.as_ref().is_some_and(|known| {
            !known.is_copy && self.view.versions().is_none_or(|(versions, _)| versions == known.versions)
        });
        if is_current && !has_better && copy.unreadable.is_empty() {
            self.replace(copy);
        }
    }

    /// Takes over a copy that came of a change made here. Where roles give something else now, remembered
    /// tokens and sessions are forgotten: who their bearers are was worked out before.
    pub fn replace(&mut self, bundle: Bundle) -> Arc<Bundle> {
        self.reading_since = None;
        self.read_failed_at = None;
        if self.bundle.as_ref().is_some_and(|known| known.roles != bundle.roles) {
            self.tokens.clear();
            self.sessions.clear();
            self.keys.clear();
            self.taken.clear();
            self.assertions.clear();
        }
        self.rules.choose(&bundle.policies);
        let bundle = Arc::new(bundle);
        self.bundle = Some(bundle.clone());
        self.confirmed_at = None;
        self.confirm();
        bundle
    }

    /// A token verified before.
    #[must_use]
    pub fn token(&self, digest: &TokenDigest) -> Option<&Arc<Remembered>> {
        self.tokens.get(digest)
    }

    /// Remembers a verified token.
    pub fn remember(&mut self, digest: TokenDigest, token: Arc<Remembered>) {
        self.tokens.insert(digest, token);
    }

    /// A trusted issuer's token that was verified before.
    #[must_use]
    pub fn taken(&self, digest: &TokenDigest) -> Option<&Arc<Taken>> {
        self.taken.get(digest)
    }

    /// Remembers one.
    pub fn remember_taken(&mut self, digest: TokenDigest, token: Arc<Taken>) {
        self.taken.insert(digest, token);
    }

    /// A session that a cookie named before, there or gone.
    #[must_use]
    pub fn session(&self, id: &SessionId) -> Option<&Arc<SessionFound>> {
        self.sessions.get(id)
    }

    /// Remembers what was found of a session. An earlier answer does not undo a later one's.
    pub fn remember_session(&mut self, id: SessionId, session: Arc<SessionFound>) {
        if self.sessions.get(&id).is_none_or(|known| known.is_replaced_by(&session)) {
            self.sessions.insert(id, session);
        }
    }

    /// What was asserted of whoever shows a credential to an origin.
    #[must_use]
    pub fn asserted(&self, to: &AssertedTo) -> Option<&Arc<Asserted>> {
        self.assertions.get(to)
    }

    /// Remembers it.
    pub fn remember_asserted(&mut self, to: AssertedTo, asserted: Arc<Asserted>) {
        self.assertions.insert(to, asserted);
    }

    /// An API key that was shown before, good or not.
    #[must_use]
    pub fn key(&self, digest: &TokenDigest) -> Option<&Arc<KeyFound>> {
        self.keys.get(digest)
    }

    /// Remembers what was found of an API key. An earlier answer does not undo a later one's.
    pub fn remember_key(&mut self, digest: TokenDigest, key: Arc<KeyFound>) {
        if self.keys.get(&digest).is_none_or(|known| known.is_replaced_by(&key)) {
            self.keys.insert(digest, key);
        }
    }
}
