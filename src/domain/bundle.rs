//! What an isolate holds a copy of: our keys, what roles give, and what policy was put live.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    rbac::RoleGraph,
    revocation::Versions,
    time::Timestamp,
    token::{
        algorithm::Algorithm,
        keyring::{KeyRing, RingKey},
        rotation::VIEW_AGE,
        verify::MAX_LIFE,
    },
    versions::Put,
};

/// A copy is good for this long before it is asked for again.
const FRESH_FOR: Duration = Duration::from_mins(1);

/// How old a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Age {
    /// Used as it is.
    Fresh,
    /// Used as it is; asked for again after the answer.
    Ageing,
    /// Asked for again before it is used, where that can be.
    Old,
    /// Not used at all: roles are known to give something else now, or another policy decides, or what was ended before its time since then may
    /// be told nowhere else any more.
    Spent,
}

/// Keys, roles and policies, read together.
#[derive(Debug, Default)]
pub struct Bundle {
    /// Our keys.
    pub keyring: KeyRing,
    /// Private halves by `kid`, sealed.
    pub sealed: HashMap<String, String>,
    /// Keys that are there but cannot be read, by `kid`, and why: nothing is known of what they signed.
    pub unreadable: BTreeMap<String, String>,
    /// What roles give.
    pub roles: RoleGraph,
    /// The policies that were put live.
    pub policies: Put,
    /// Which versions these are.
    pub versions: Versions,
    /// As of when.
    pub as_of: Timestamp,
    /// Whether it is a copy of what someone else read: it may be of an earlier version.
    pub is_copy: bool,
    /// When reading it began, in the order of this isolate's questions and answers.
    pub order: u64,
}

impl Bundle {
    /// The key that signs at `now` what is to be believed until `until`, and its private half, sealed.
    #[must_use]
    pub fn signing(&self, wanted: Algorithm, now: Timestamp, until: Timestamp) -> Option<(&RingKey, &str)> {
        let key = self.keyring.signing(wanted, now, until)?;
        let sealed = self.sealed.get(key.kid().as_str())?;
        Some((key, sealed))
    }

    /// How old it is, if `heard` is what was last heard of versions, and `confirmed_at` when that was last these.
    #[must_use]
    pub fn age(&self, heard: Option<Heard>, confirmed_at: Option<Timestamp>, now: Timestamp) -> Age {
        let as_of = confirmed_at.map_or(self.as_of, |at| at.max(self.as_of));
        let by_time = match now.since(as_of) {
            // A clock that went back tells nothing.
            _ if now < as_of => Age::Ageing,
            age if age < FRESH_FOR => Age::Fresh,
            age if age < VIEW_AGE => Age::Ageing,
            // The record tells of an ended key for as long as any token of it could live.
            age if age < MAX_LIFE => Age::Old,
            _ => Age::Spent,
        };
        match heard {
            // What began to be read after the versions were heard of is at least of those.
            Some(heard) if heard.versions != self.versions && (self.is_copy || self.order < heard.order) => {
                // A role that gives less now must not give more, and a route that was closed must not be open; a key is not
                // signed with before everyone can know it.
                let (theirs, ours) = (heard.versions, self.versions);
                let gives_more = (theirs.roles, theirs.policy) != (ours.roles, ours.policy);
                by_time.max(if gives_more { Age::Spent } else { Age::Old })
            }
            _ => by_time,
        }
    }
}

/// What was last heard of versions.
#[derive(Clone, Copy, Debug)]
pub struct Heard {
    /// Which they are.
    pub versions: Versions,
    /// When that was first heard, in the order of this isolate's questions and answers.
    pub order: u64,
}
