//! Which sessions and API keys were used, until it is written down. Losing this shortens a session by a part of how long it
//! may go unused.

use std::{collections::HashMap, hash::Hash, time::Duration};

use crate::domain::time::Timestamp;

/// Things of one kind whose use is kept in mind at once.
const MAX: usize = 4096;
/// So many are written at once.
const BATCH: usize = 200;

/// When things of one kind were used.
#[derive(Debug)]
pub struct Uses<Id> {
    noted: HashMap<Id, Timestamp>,
    pending: Vec<(Id, Timestamp)>,
}

impl<Id> Default for Uses<Id> {
    fn default() -> Self {
        Self { noted: HashMap::new(), pending: Vec::new() }
    }
}

impl<Id: Copy + Eq + Hash> Uses<Id> {
    /// Notes a use, unless one was noted less than `every` ago.
    pub fn note(&mut self, id: Id, now: Timestamp, every: Duration) {
        if self.noted.get(&id).is_some_and(|at| now.since(*at) < every) || self.pending.len() >= MAX {
            return;
        }
        if self.noted.len() >= MAX {
            self.noted.clear();
        }
        self.noted.insert(id, now);
        self.pending.push((id, now));
    }

    /// Whether there are any that are not written.
    #[must_use]
    pub const fn is_due(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Takes those that are to be written now.
    pub fn take(&mut self) -> Vec<(Id, Timestamp)> {
        let count = self.pending.len().min(BATCH);
        self.pending.drain(..count).collect()
    }
}
