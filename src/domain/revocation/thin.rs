//! Making fewer of too many revocations, without ever refusing less.

use std::collections::HashMap;

use super::{Entry, Revoked};
use crate::domain::{id::UserId, time::Timestamp};

/// So many revocations are kept apart at once, in the feed and in an isolate: nine a second, if each matters for
/// an hour.
pub const MAX_ENTRIES: usize = 32_768;

/// What is left of too many revocations.
#[derive(Debug, PartialEq, Eq)]
pub struct Thinned {
    /// Fewer of them, which refuse at least as much.
    pub entries: Vec<Entry>,
    /// Until when they do not tell everything, if they do not.
    pub incomplete_until: Option<Timestamp>,
}

/// Makes at most `max` of too many revocations, without ever refusing less. (1) Those that are over go. (2) Where a
/// user has several, they become one: everything that the user was given until the last of them. (3) If that is
/// not enough, those go that end first, and until the last of them would have ended it is known that what is left
/// does not tell everything. Keys stay in any case: each stands for many tokens, and there are few.
#[must_use]
pub fn thin(entries: Vec<Entry>, max: usize, now: Timestamp) -> Thinned {
    // (1)
    let mut entries: Vec<_> = entries.into_iter().filter(|entry| entry.until > now).collect();
    if entries.len() <= max {
        return Thinned { entries, incomplete_until: None };
    }
    // (2)
    let mut counts: HashMap<UserId, usize> = HashMap::new();
    for user in entries.iter().filter_map(single) {
        *counts.entry(user).or_default() += 1;
    }
    let mut merged: HashMap<UserId, Entry> = HashMap::new();
    entries.retain(|entry| {
        let Some(user) = single(entry).filter(|user| counts.get(user).is_some_and(|&count| count > 1)) else {
            return true;
        };
        let one = merged.entry(user).or_insert_with(|| Entry { what: Revoked::Given(user), ..entry.clone() });
        one.at = one.at.max(entry.at);
        one.until = one.until.max(entry.until);
        false
    });
    entries.extend(merged.into_values());
    if entries.len() <= max {
        return Thinned { entries, incomplete_until: None };
    }
    // (3) A quarter more than must, so that not each one that comes has it done again.
    let (keys, mut others): (Vec<_>, Vec<_>) = entries.into_iter().partition(|e| matches!(e.what, Revoked::Key(_)));
    others.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.until));
    let dropped = others.split_off((max - max / 4).saturating_sub(keys.len()).min(others.len()));
    let incomplete_until = dropped.first().map(|entry| entry.until);
    Thinned { entries: keys.into_iter().chain(others).collect(), incomplete_until }
}

/// Whose token, session or API key an entry is about, if it is one that can be merged with others.
fn single(entry: &Entry) -> Option<UserId> {
    match entry.what {
        Revoked::Token(_) | Revoked::Session(_) | Revoked::ApiKey(_) => entry.user,
        Revoked::Given(user) => Some(user),
        Revoked::User { .. } | Revoked::Key(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        id::{ApiKeyId, SessionId},
        token::jwk::KeyId,
    };

    fn id(number: u8) -> UserId {
        UserId::new(Timestamp::from_secs(1), &[number; 10])
    }

    fn session(number: u8, user: Option<UserId>, at: i64, until: i64) -> Entry {
        let what = Revoked::Session(SessionId::new(Timestamp::from_secs(1), &[number; 10]));
        Entry { what, user, at: Timestamp::from_secs(at), until: Timestamp::from_secs(until) }
    }

    #[test]
    fn several_of_one_user_become_one_and_others_stay_as_they_are() {
        let now = Timestamp::from_secs(50);
        let entries = vec![
            session(1, Some(id(1)), 10, 100),
            session(2, Some(id(1)), 20, 90),
            session(3, Some(id(2)), 30, 100),
            session(4, None, 30, 100),
            session(5, Some(id(3)), 1, 50),
        ];
        assert_eq!(thin(entries.clone(), 4, now).entries.len(), 4, "what is over goes first");
        let Thinned { mut entries, incomplete_until } = thin(entries, 3, now);
        assert_eq!(incomplete_until, None);
        entries.sort_by_key(|entry| entry.what.kind());
        let given = Entry { what: Revoked::Given(id(1)), ..session(1, Some(id(1)), 20, 100) };
        let key = Revoked::ApiKey(ApiKeyId::new(Timestamp::from_secs(1), &[9; 10]));
        let with_key = vec![session(1, Some(id(1)), 10, 100), Entry { what: key, ..session(2, Some(id(1)), 20, 90) }];
        assert_eq!(thin(with_key, 1, now).entries, std::slice::from_ref(&given), "API keys as well");
        assert_eq!(entries, [given, session(3, Some(id(2)), 30, 100), session(4, None, 30, 100)]);
    }

    #[test]
    fn where_that_is_not_enough_it_is_known_that_something_is_missing() {
        let key = Entry { what: Revoked::Key(KeyId::stored("k".into())), ..session(0, None, 0, 1) };
        let mut entries: Vec<_> = (1..=20).map(|n| session(n, Some(id(n)), 0, 100 + i64::from(n))).collect();
        entries.push(key.clone());
        let Thinned { entries, incomplete_until } = thin(entries, 8, Timestamp::default());
        assert_eq!(entries.len(), 6);
        assert!(entries.contains(&key), "a key stays, however soon it ends");
        assert!(entries.contains(&session(20, Some(id(20)), 0, 120)));
        assert_eq!(incomplete_until, Some(Timestamp::from_secs(115)), "the last of those that went");
    }
}
