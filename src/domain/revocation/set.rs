//! What an isolate knows of revocations: plain data that only grows until its entries are over. It never grows too
//! large to hold; where it would, it refuses more, or says that it cannot tell.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use super::{Entry, MAX_ENTRIES, Revoked, Thinned, thin};
use crate::domain::{
    id::{ApiKeyId, SessionId, TokenId},
    time::Timestamp,
};

/// What is over is looked for at most this often.
const FORGET_EVERY: Duration = Duration::from_secs(30);
/// A revocation is dated before it is written, and a token when it is signed, after the exchange that it comes of was
/// written: one that is dated so much later may still come of what was ended. Clocks differ as well.
const UNCERTAIN: Duration = Duration::from_secs(20);

/// The same of an API key, which is shown again and again: what becomes of it may be written a minute after it is dated,
/// where the record is slow to answer.
const KEY_UNCERTAIN: Duration = Duration::from_secs(90);

/// What a token rests on: with any of it, the token ends.
#[derive(Clone, Copy, Debug)]
pub struct Grounds<'a> {
    /// Itself.
    pub token: TokenId,
    /// Its session.
    pub session: SessionId,
    /// Its user's `sub`.
    pub user: &'a str,
    /// The user's token version when it was made.
    pub version: i64,
    /// When that was.
    pub given_at: Timestamp,
    /// The key that signed it.
    pub key: &'a str,
}

/// What is known of one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// It was ended.
    Revoked,
    /// It was not, as far as everything was told.
    Clear,
    /// Not everything could be kept: the record knows.
    Unsure,
}

/// Revocations, by what they are about.
#[derive(Debug, Default)]
pub struct RevokedSet {
    entries: HashMap<Revoked, Entry>,
    /// The first version of a user that is not ended, by `sub`.
    users: HashMap<String, i64>,
    /// Until when what a user was given is ended, by `sub`.
    given: HashMap<String, Timestamp>,
    keys: HashSet<String>,
    incomplete_until: Option<Timestamp>,
    forgotten_at: Option<Timestamp>,
    max: Option<usize>,
}

impl RevokedSet {
    /// An empty one that holds at most `max` entries, rather than [`MAX_ENTRIES`].
    #[must_use]
    pub fn of_at_most(max: usize) -> Self {
        Self { max: Some(max), ..Self::default() }
    }

    /// Notes a revocation.
    pub fn insert(&mut self, entry: &Entry, now: Timestamp) {
        if entry.until <= now {
            return;
        }
        self.index(entry);
        let kept = self.entries.entry(entry.what.clone()).or_insert_with(|| entry.clone());
        kept.at = kept.at.max(entry.at);
        kept.until = kept.until.max(entry.until);
        let max = self.max.unwrap_or(MAX_ENTRIES);
        if self.entries.len() > max {
            let entries = self.entries.drain().map(|(_, entry)| entry).collect();
            let Thinned { entries, incomplete_until } = thin(entries, max, now);
            self.refill(entries);
            self.note_incomplete(incomplete_until);
        }
    }

    /// Notes that until then not everything was told.
    pub fn note_incomplete(&mut self, until: Option<Timestamp>) {
        self.incomplete_until = self.incomplete_until.max(until);
    }

    /// Whether everything of a key is ended.
    #[must_use]
    pub fn ends_key(&self, kid: &str) -> bool {
        self.keys.contains(kid)
    }

    /// Forgets what is over, now and then: until then it refuses nothing that is not over as well.
    pub fn forget(&mut self, now: Timestamp) {
        if self.forgotten_at.is_some_and(|at| now >= at && now.since(at) < FORGET_EVERY) {
            return;
        }
        self.forgotten_at = Some(now);
        if self.entries.values().any(|entry| entry.until <= now) {
            let entries = self.entries.drain().map(|(_, entry)| entry).filter(|entry| entry.until > now).collect();
            self.refill(entries);
        }
    }

    /// What is known of a token.
    #[must_use]
    pub fn knows(&self, token: &Grounds<'_>, now: Timestamp) -> Known {
        self.unless(!self.entries.is_empty() && self.names(token), now)
    }

    /// What is known of a session by itself.
    #[must_use]
    pub fn knows_session(&self, id: SessionId, now: Timestamp) -> Known {
        self.unless(self.entries.contains_key(&Revoked::Session(id)), now)
    }

    /// Whether what was known of a user as of some time, with their token version then, may have changed since.
    #[must_use]
    pub fn outdates(&self, user: &str, version: i64, as_of: Timestamp) -> bool {
        self.users.get(user).is_some_and(|&first| version < first)
            || self.given.get(user).is_some_and(|until| as_of <= until.plus(UNCERTAIN))
    }

    fn unless(&self, is_revoked: bool, now: Timestamp) -> Known {
        match is_revoked {
            true => Known::Revoked,
            false if self.incomplete_until.is_some_and(|until| until > now) => Known::Unsure,
            false => Known::Clear,
        }
    }

    /// What is known of an API key: whether what was known of it as of some time may have changed since. It may have been
    /// ended, or go on for a while; the record knows.
    #[must_use]
    pub fn knows_api_key(&self, id: ApiKeyId, as_of: Timestamp, now: Timestamp) -> Known {
        let changed = self.entries.get(&Revoked::ApiKey(id)).is_some_and(|entry| as_of <= entry.at.plus(KEY_UNCERTAIN));
        self.unless(changed, now)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Whether anything here ends a token.
    fn names(&self, token: &Grounds<'_>) -> bool {
        self.entries.contains_key(&Revoked::Session(token.session))
            || self.entries.contains_key(&Revoked::Token(token.token))
            || self.keys.contains(token.key)
            || self.outdates(token.user, token.version, token.given_at)
    }

    fn refill(&mut self, entries: Vec<Entry>) {
        self.users.clear();
        self.given.clear();
        self.keys.clear();
        self.entries.clear();
        for entry in entries {
            self.index(&entry);
            self.entries.insert(entry.what.clone(), entry);
        }
    }

    fn index(&mut self, entry: &Entry) {
        match &entry.what {
            Revoked::Token(_) | Revoked::Session(_) | Revoked::ApiKey(_) => {}
            Revoked::Key(id) => drop(self.keys.insert(id.as_str().to_owned())),
            Revoked::User { id, version } => {
                let known = self.users.entry(id.to_string()).or_insert(*version);
                *known = (*known).max(*version);
            }
            Revoked::Given(id) => {
                let known = self.given.entry(id.to_string()).or_insert(entry.at);
                *known = (*known).max(entry.at);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::id::SessionId;

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_secs(secs)
    }

    fn entry(what: Revoked, until: i64) -> Entry {
        Entry { what, user: None, at: at(1), until: at(until) }
    }

    #[test]
    fn of_an_api_key_is_known_that_it_changed_since() {
        let (id, other) = (ApiKeyId::new(at(1), &[1; 10]), ApiKeyId::new(at(1), &[2; 10]));
        let mut set = RevokedSet::default();
        set.insert(&entry(Revoked::ApiKey(id), 100), at(2));
        let knows = |set: &RevokedSet, id, as_of, now| set.knows_api_key(id, at(as_of), at(now));
        let changed_at = set.entries.values().next().map(|entry| entry.at.millis() / 1000).unwrap();
        assert_eq!(knows(&set, id, changed_at, 2), Known::Revoked);
        assert_eq!(knows(&set, id, changed_at + 90, 2), Known::Revoked, "it may have been written so late");
        assert_eq!(knows(&set, id, changed_at + 91, 2), Known::Clear, "that was looked up since");
        assert_eq!(knows(&set, other, 0, 2), Known::Clear);
        set.note_incomplete(Some(at(50)));
        assert_eq!((knows(&set, other, 0, 49), knows(&set, other, 0, 50)), (Known::Unsure, Known::Clear));
        set.note_incomplete(None);
        assert_eq!(knows(&set, other, 0, 49), Known::Unsure, "what was missing once stays missing");
    }

    #[test]
    fn what_is_over_is_forgotten_now_and_then_and_not_taken_in() {
        let session = |number: u8| Revoked::Session(SessionId::new(at(1), &[number; 10]));
        let mut set = RevokedSet::default();
        set.insert(&entry(session(1), 10), at(10));
        assert!(set.is_empty());
        set.forget(at(0));
        set.insert(&entry(session(1), 10), at(2));
        set.insert(&entry(session(2), 100), at(2));
        set.forget(at(20));
        assert_eq!(set.len(), 2, "it was looked for a moment ago");
        set.forget(at(30));
        assert_eq!(set.len(), 1);
        // Told again with a later end, it stays for that long.
        set.insert(&entry(session(2), 300), at(30));
        set.insert(&entry(session(2), 50), at(30));
        set.forget(at(200));
        assert_eq!(set.len(), 1);
    }

    #[test]
    fn a_full_set_stays_bounded_and_says_that_it_is_unsure() {
        let mut set = RevokedSet::of_at_most(8);
        for number in 0..50 {
            let what = Revoked::Session(SessionId::new(at(1), &[number; 10]));
            set.insert(&entry(what, 100 + i64::from(number)), at(2));
            assert!(set.len() <= 8);
        }
        assert_eq!(set.knows_api_key(ApiKeyId::new(at(1), &[1; 10]), at(1), at(2)), Known::Unsure);
    }
}
