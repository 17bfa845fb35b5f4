//! What one isolate last heard of revocations, and when. Synchronous and bounded; losing any of it costs a
//! question, never an admission.

use std::{collections::HashMap, time::Duration};

use crate::domain::{
    id::{ApiKeyId, SessionId},
    revocation::{
        Entry, Versions,
        feed::{Answer, Cursor, Pulled},
        set::{Grounds, Known, RevokedSet},
    },
    time::{Timestamp, millis},
};

/// A view is good for this long before it is asked for again, or for half of the bound, if that is less.
const FRESH_FOR: Duration = Duration::from_secs(5);
/// Where nobody could be asked, this long passes before it is tried again, beside an answer.
const RETRY_EVERY: Duration = Duration::from_secs(2);
/// So long after a failure nobody waits for another try: each token is asked of its copy.
const FAILING_FOR: Duration = Duration::from_secs(10);
/// A feed that failed is not asked for this long: the record is, instead.
const FEED_REST: Duration = Duration::from_secs(5);
/// After so long, another may ask: whoever asks may have been broken off, which nobody hears of.
const TAKEN_OVER_AFTER: Duration = Duration::from_secs(3);
/// Answers about single tokens and sessions that are remembered at once.
const MAX_CHECKED: usize = 8192;

/// The id of a token, of a session that a cookie holds, or of an API key.
pub type CredentialId = [u8; 16];

/// How old a view is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ViewAge {
    /// Used as it is.
    Fresh,
    /// Used as it is; asked for again after the answer.
    Ageing,
    /// Not used: asked for again first.
    Old,
}

/// What is known of revocations.
#[derive(Debug, Default)]
pub struct RevocationView {
    known: RevokedSet,
    cursor: Option<Cursor>,
    /// Up to which sequence number of the record it is complete.
    record: i64,
    as_of: Option<Timestamp>,
    versions: Option<(Versions, u64)>,
    /// The last place that was given among questions and answers.
    order: u64,
    /// When the record was last asked by whom this was heard from.
    pulled_at: Option<Timestamp>,
    claimed_at: Option<Timestamp>,
    asking_since: Option<Timestamp>,
    failed_at: Option<Timestamp>,
    feed_failed_at: Option<Timestamp>,
    checked: HashMap<CredentialId, Timestamp>,
}

impl RevocationView {
    /// How old it is, if it may be `bound` old.
    #[must_use]
    pub fn age(&self, now: Timestamp, bound: Duration) -> ViewAge {
        // A clock that went back tells nothing.
        let Some(age) = self.as_of.filter(|as_of| now >= *as_of).map(|as_of| now.since(as_of)) else {
            return ViewAge::Old;
        };
        match age {
            age if age < FRESH_FOR.min(bound / 2) => ViewAge::Fresh,
            age if age < bound => ViewAge::Ageing,
            _ => ViewAge::Old,
        }
    }

    /// As of when it is; `None` if nothing was ever heard.
    #[must_use]
    pub const fn as_of(&self) -> Option<Timestamp> {
        self.as_of
    }

    /// How old it is, in milliseconds.
    #[must_use]
    pub fn age_ms(&self, now: Timestamp) -> Option<i64> {
        self.as_of.map(|as_of| millis(now.since(as_of)))
    }

    /// When the record was last asked by whom this was heard from.
    #[must_use]
    pub const fn pulled_at(&self) -> Option<Timestamp> {
        self.pulled_at
    }

    /// Up to where the feed is known.
    #[must_use]
    pub const fn cursor(&self) -> Option<&Cursor> {
        self.cursor.as_ref()
    }

    /// How many revocations are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// What is known of a token, as of the view.
    #[must_use]
    pub fn knows(&self, token: &Grounds<'_>, now: Timestamp) -> Known {
        self.known.knows(token, now)
    }

    /// What is known of a session by itself, as of the view.
    #[must_use]
    pub fn knows_session(&self, id: SessionId, now: Timestamp) -> Known {
        self.known.knows_session(id, now)
    }

    /// Whether what was known of an API key as of some time may have changed since.
    #[must_use]
    pub fn knows_api_key(&self, id: ApiKeyId, as_of: Timestamp, now: Timestamp) -> Known {
        self.known.knows_api_key(id, as_of, now)
    }

    /// Whether what was known of a user as of some time, with their token version then, may have changed since.
    #[must_use]
    pub fn outdates(&self, user: &str, version: i64, as_of: Timestamp) -> bool {
        self.known.outdates(user, version, as_of)
    }

    /// Whether a token or session was asked about by itself less than `bound` ago, and was good.
    #[must_use]
    pub fn was_checked(&self, credential: &CredentialId, now: Timestamp, bound: Duration) -> bool {
        let checked = self.checked.get(credential);
        checked.is_some_and(|as_of| now.since(*as_of) < bound && now >= *as_of)
    }

    /// Notes that a token or session was not revoked when it was asked about at `as_of`.
    pub fn found_good(&mut self, credential: CredentialId, as_of: Timestamp) {
        if self.checked.len() >= MAX_CHECKED {
            self.checked.clear();
        }
        self.checked.insert(credential, as_of);
    }

    /// Whether it is known that everything of a key was ended.
    #[must_use]
    pub fn ends_key(&self, kid: &str) -> bool {
        self.known.ends_key(kid)
    }

    /// Notes a revocation. Such knowledge never ages.
    pub fn note(&mut self, entry: &Entry, now: Timestamp) {
        self.known.insert(entry, now);
    }

    /// The next place among this isolate's questions and answers: clocks are too coarse to tell which came first.
    pub const fn next(&mut self) -> u64 {
        self.order += 1;
        self.order
    }

    /// What copies must be of, and when that was first heard; `None` if nothing was ever heard.
    #[must_use]
    pub const fn versions(&self) -> Option<(Versions, u64)> {
        self.versions
    }

    /// Whether somebody is asking just now.
    #[must_use]
    pub fn is_being_asked(&self, now: Timestamp) -> bool {
        self.asking_since.is_some_and(|since| now.since(since) < TAKEN_OVER_AFTER && now >= since)
    }

    /// Whether the last question failed, not long ago.
    #[must_use]
    pub fn is_failing(&self, now: Timestamp) -> bool {
        self.failed_at.is_some_and(|at| now.since(at) < FAILING_FOR && now >= at)
    }

    /// Whether it failed so short a time ago that asking again would hardly help.
    #[must_use]
    pub fn failed_lately(&self, now: Timestamp) -> bool {
        self.failed_at.is_some_and(|at| now.since(at) < RETRY_EVERY && now >= at)
    }

    /// Whether the feed is to be left alone for now.
    #[must_use]
    pub fn feed_rests(&self, now: Timestamp) -> bool {
        self.feed_failed_at.is_some_and(|at| now.since(at) < FEED_REST && now >= at)
    }

    /// Whether it should be asked for again beside an answer; whoever is told so, does it.
    pub fn claim_refresh(&mut self, now: Timestamp, bound: Duration) -> bool {
        // Where nothing was ever heard, nobody has needed it.
        let due = self.as_of.is_some() && self.age(now, bound) != ViewAge::Fresh;
        due && self.claim(now, bound)
    }

    /// Takes the permission to ask, which nobody else has for a while then.
    pub fn claim(&mut self, now: Timestamp, bound: Duration) -> bool {
        let pause = RETRY_EVERY.min(bound / 4);
        let may = self.claimed_at.is_none_or(|at| now.since(at) >= pause || now < at) && !self.is_being_asked(now);
        if may {
            self.claimed_at = Some(now);
        }
        may
    }

    /// Notes that somebody asks; says what they know already.
    pub fn asking(&mut self, now: Timestamp) -> (Option<Cursor>, i64) {
        self.claimed_at = Some(now);
        // The first of those who ask now counts: others that come and are broken off do not put off who takes over.
        if !self.is_being_asked(now) {
            self.asking_since = Some(now);
        }
        (self.cursor.clone(), self.record)
    }

    /// Notes that the feed did not answer.
    pub const fn feed_failed(&mut self, now: Timestamp) {
        self.feed_failed_at = Some(now);
    }

    /// Notes that nobody answered.
    pub const fn failed(&mut self, now: Timestamp) {
        self.asking_since = None;
        self.claimed_at = Some(now);
        self.failed_at = Some(now);
    }

    /// Takes what the feed said to a question that was put at `as_of`.
    pub fn heard(&mut self, answer: Answer, as_of: Timestamp, now: Timestamp) {
        let Answer { cursor, record, entries, versions, incomplete_until, pulled_at } = answer;
        // Two answers may pass each other: what is known never becomes less.
        let later = self.cursor.as_ref().is_none_or(|known| known.feed != cursor.feed || known.place <= cursor.place);
        if later {
            self.cursor = Some(cursor);
        }
        self.record = record;
        self.known.note_incomplete(incomplete_until.map(Timestamp::from_millis));
        self.feed_failed_at = None;
        self.pulled_at = self.pulled_at.max(Some(Timestamp::from_millis(pulled_at)));
        self.take(&entries, versions, as_of, now);
    }

    /// Takes a part of what the record said to a question that was put at `as_of`: with the last part, the view is
    /// whole.
    pub fn read(&mut self, pulled: Pulled, as_of: Timestamp, now: Timestamp) {
        let Pulled { entries, record, more, versions } = pulled;
        self.record = record;
        if more {
            for entry in &entries {
                self.known.insert(entry, now);
            }
            return;
        }
        self.pulled_at = self.pulled_at.max(Some(as_of));
        self.take(&entries, versions, as_of, now);
    }

    fn take(&mut self, entries: &[Entry], versions: Versions, as_of: Timestamp, now: Timestamp) {
        self.known.forget(now);
        for entry in entries {
            self.known.insert(entry, now);
        }
        // The answer to an earlier question does not undo a later one's; a time that has not come is none.
        if self.as_of.is_none_or(|known| as_of >= known || known > now) {
            let changed = self.versions.is_none_or(|(known, _)| known != versions);
            if changed {
                self.versions = Some((versions, self.next()));
            }
            self.as_of = Some(as_of);
        }
        self.asking_since = None;
        self.claimed_at = Some(now);
        self.failed_at = None;
    }
}
