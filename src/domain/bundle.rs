//! What an isolate holds a copy of: our keys, and what roles give.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use super::{
    rbac::RoleGraph,
    time::Timestamp,
    token::{
        algorithm::Algorithm,
        keyring::{KeyRing, RingKey},
        rotation::VIEW_AGE,
        verify::MAX_LIFE,
    },
};

/// A copy is good for this long before it is asked for again.
const FRESH_FOR: Duration = Duration::from_mins(1);

/// How old a copy is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Age {
    /// Used as it is.
    Fresh,
    /// Used as it is; asked for again after the answer.
    Ageing,
    /// Asked for again before it is used, where that can be.
    Old,
    /// Not used at all: what was ended before its time since then may be told nowhere else any more.
    Spent,
}

/// Keys and roles, read together.
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
    /// Which version of the keys this is.
    pub keys_version: i64,
    /// When it was asked for.
    pub as_of: Timestamp,
}

impl Bundle {
    /// The key that signs at `now` what is to be believed until `until`, and its private half, sealed.
    #[must_use]
    pub fn signing(&self, wanted: Algorithm, now: Timestamp, until: Timestamp) -> Option<(&RingKey, &str)> {
        let key = self.keyring.signing(wanted, now, until)?;
        let sealed = self.sealed.get(key.kid().as_str())?;
        Some((key, sealed))
    }

    /// How old it is.
    #[must_use]
    pub fn age(&self, now: Timestamp) -> Age {
        match now.since(self.as_of) {
            // A clock that went back tells nothing.
            _ if now < self.as_of => Age::Ageing,
            age if age < FRESH_FOR => Age::Fresh,
            age if age < VIEW_AGE => Age::Ageing,
            // The blacklist tells of an ended key for as long as any token of it could live.
            age if age < MAX_LIFE => Age::Old,
            _ => Age::Spent,
        }
    }
}
