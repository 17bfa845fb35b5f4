//! The feed: every revocation that can still matter, in the order in which it came here. Whoever knows it up to
//! some place asks for what came after. Pure: the object that keeps it reads, calls this, and writes what changed.
//!
//! What is pushed comes in any order and may be missed; what is pulled comes from the record, in its own order and
//! without gaps. So places are this feed's own, and beside them it says up to where of the record it is complete.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashMap};

use serde::{Deserialize, Serialize};

use super::{Entry, MAX_ENTRIES, Revoked, Thinned, Versions, known_entries, thin};
use crate::domain::time::Timestamp;

/// Up to where somebody knows the feed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// Which feed: one that lost what it kept has another name, and nobody knows anything of it.
    pub feed: String,
    /// The last entry that is known.
    pub place: u64,
}

/// What an asker is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Up to where they know the feed now.
    pub cursor: Cursor,
    /// Up to which sequence number of the record this is complete.
    pub record: i64,
    /// What came after what they knew.
    #[serde(deserialize_with = "known_entries")]
    pub entries: Vec<Entry>,
    /// What copies must be of.
    pub versions: Versions,
    /// Until when (milliseconds since the Unix epoch) the feed does not tell everything, if it does not.
    pub incomplete_until: Option<i64>,
    /// When the record was last asked, in milliseconds since the Unix epoch, by the feed's clock.
    pub pulled_at: i64,
}

/// Something from the record.
#[derive(Clone, Debug)]
pub struct Pulled {
    /// Entries after what was asked for, in the record's order.
    pub entries: Vec<Entry>,
    /// Up to which sequence number that is complete.
    pub record: i64,
    /// Whether there is more.
    pub more: bool,
    /// The versions.
    pub versions: Versions,
}

/// What the keeper must write: rows that are new, rows that are gone. The [`Meta`] changes with each.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// New entries, by place.
    pub added: Vec<(u64, Entry)>,
    /// Places of those that are gone.
    pub removed: Vec<u64>,
}

/// All that is kept beside the entries.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// The feed's name.
    pub feed: String,
    /// The last place that was given.
    pub newest: u64,
    /// Up to which sequence number of the record it is complete; `None` if that was never asked.
    pub record: Option<i64>,
    /// What copies must be of.
    pub versions: Versions,
    /// Until when it does not tell everything.
    pub incomplete_until: Option<i64>,
    /// When the record was last asked.
    pub pulled_at: i64,
}

/// A question to the record that is being asked.
#[derive(Clone, Copy, Debug)]
pub struct Question {
    /// After which sequence number.
    pub after: i64,
    pushes: u64,
    number: u64,
    at: Timestamp,
}

impl Question {
    /// The same, going on after a part of the answer.
    #[must_use]
    pub const fn after(self, record: i64) -> Self {
        Self { after: record, ..self }
    }
}

/// The feed.
#[derive(Debug)]
pub struct Feed {
    meta: Meta,
    entries: BTreeMap<u64, Entry>,
    places: HashMap<Revoked, u64>,
    /// How often versions were pushed, so that an older answer of the record does not undo it.
    pushes: u64,
    /// How many questions were put to the record, and the last that was answered.
    asked: u64,
    answered: u64,
    max: usize,
}

impl Feed {
    /// An empty one.
    #[must_use]
    pub fn new(name: String) -> Self {
        let meta = Meta {
            feed: name,
            newest: 0,
            record: None,
            versions: Versions::default(),
            incomplete_until: None,
            pulled_at: 0,
        };
        Self::restore(meta, [])
    }

    /// As it was kept.
    #[must_use]
    pub fn restore(meta: Meta, entries: impl IntoIterator<Item = (u64, Entry)>) -> Self {
        let entries: BTreeMap<_, _> = entries.into_iter().collect();
        let places = entries.iter().map(|(place, entry)| (entry.what.clone(), *place)).collect();
        // No place is given twice, whatever of a last change was kept.
        let newest = entries.last_key_value().map_or(0, |(place, _)| *place).max(meta.newest);
        let meta = Meta { newest, ..meta };
        Self { meta, entries, places, pushes: 0, asked: 0, answered: 0, max: MAX_ENTRIES }
    }

    /// The same, holding at most `max` entries.
    #[must_use]
    pub const fn of_at_most(mut self, max: usize) -> Self {
        self.max = max;
        self
    }

    /// What is kept beside the entries.
    #[must_use]
    pub const fn meta(&self) -> &Meta {
        &self.meta
    }

    /// Whether it has ever asked the record; before that it can tell nobody anything.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.meta.record.is_some()
    }

    /// When the first of its entries is over.
    #[must_use]
    pub fn forgettable_at(&self) -> Option<Timestamp> {
        self.entries.values().map(|entry| entry.until).min()
    }

    /// Takes what a change tells of itself.
    #[must_use]
    pub fn push(&mut self, entries: Vec<Entry>, versions: Option<Versions>, now: Timestamp) -> Change {
        if let Some(versions) = versions {
            self.pushes += 1;
            self.meta.versions = self.meta.versions.max(versions);
        }
        self.add(entries, now)
    }

    /// Begins to ask the record.
    #[must_use]
    pub fn ask_record(&mut self, now: Timestamp) -> Question {
        self.asked += 1;
        Question { after: self.meta.record.unwrap_or(0), pushes: self.pushes, number: self.asked, at: now }
    }

    /// Takes what the record said.
    #[must_use]
    pub fn absorb(&mut self, pulled: Pulled, question: Question, now: Timestamp) -> Change {
        let Pulled { entries, record, more, versions } = pulled;
        // A record that ends before what is known of it was put back to an earlier state: it is read anew.
        let put_back = record < question.after;
        if put_back {
            self.meta.record = self.meta.record.map(|_| 0);
        } else if more {
            // Until all of it was read once, it stays one that cannot tell.
            self.meta.record = self.meta.record.map(|known| known.max(record));
        } else {
            self.meta.record = Some(self.meta.record.map_or(record, |known| known.max(record)));
        }
        if !more && !put_back {
            self.meta.pulled_at = self.meta.pulled_at.max(question.at.millis());
        }
        // An answer to an earlier question undoes neither a push nor a later answer.
        if question.number > self.answered {
            let overtaken = question.pushes != self.pushes;
            self.meta.versions = if overtaken { self.meta.versions.max(versions) } else { versions };
            self.answered = if more { self.answered } else { question.number };
        }
        self.add(entries, now)
    }

    /// What came after what somebody knows; everything, if they know nothing of this feed.
    #[must_use]
    pub fn since(&self, cursor: Option<&Cursor>, now: Timestamp) -> Answer {
        let known = cursor.filter(|cursor| cursor.feed == self.meta.feed && cursor.place <= self.meta.newest);
        let after = known.map_or(0, |cursor| cursor.place);
        let fresh = self.entries.range(after.saturating_add(1)..).map(|(_, entry)| entry);
        Answer {
            cursor: Cursor { feed: self.meta.feed.clone(), place: self.meta.newest },
            record: self.meta.record.unwrap_or(0),
            entries: fresh.filter(|entry| entry.until > now).cloned().collect(),
            versions: self.meta.versions,
            incomplete_until: self.meta.incomplete_until.filter(|&until| until > now.millis()),
            pulled_at: self.meta.pulled_at,
        }
    }

    /// Forgets what is over.
    #[must_use]
    pub fn forget(&mut self, now: Timestamp) -> Change {
        let over = self.entries.iter().filter(|(_, entry)| entry.until <= now).map(|(place, _)| *place);
        let removed: Vec<_> = over.collect();
        for place in &removed {
            if let Some(entry) = self.entries.remove(place) {
                self.places.remove(&entry.what);
            }
        }
        Change { added: Vec::new(), removed }
    }

    fn add(&mut self, entries: Vec<Entry>, now: Timestamp) -> Change {
        let mut change = Change::default();
        for entry in entries.into_iter().filter(|entry| entry.until > now) {
            self.place(entry, &mut change);
        }
        if self.entries.len() > self.max {
            self.make_room(now, &mut change);
        }
        change
    }

    /// Gives an entry a place, unless it has one; one that says more than before gets a new one.
    fn place(&mut self, entry: Entry, change: &mut Change) {
        if let Some(place) = self.places.get(&entry.what).copied() {
            let Some(known) = self.entries.get(&place) else { return };
            if known.until >= entry.until && known.at >= entry.at {
                return;
            }
            self.entries.remove(&place);
            change.added.retain(|(other, _)| *other != place);
            change.removed.push(place);
        }
        self.meta.newest += 1;
        let place = self.meta.newest;
        self.places.insert(entry.what.clone(), place);
        self.entries.insert(place, entry.clone());
        change.added.push((place, entry));
    }

    /// Makes fewer of too many; what is merged comes again, for those who know only its parts.
    fn make_room(&mut self, now: Timestamp, change: &mut Change) {
        let all = self.entries.values().cloned().collect();
        let Thinned { entries, incomplete_until } = thin(all, self.max, now);
        let kept: HashMap<_, _> = entries.iter().map(|entry| (&entry.what, entry)).collect();
        let gone: Vec<_> = self.places.iter().filter(|(what, _)| !kept.contains_key(what)).collect();
        let gone: Vec<(Revoked, u64)> = gone.into_iter().map(|(what, place)| (what.clone(), *place)).collect();
        for (what, place) in gone {
            self.places.remove(&what);
            self.entries.remove(&place);
            change.added.retain(|(other, _)| *other != place);
            change.removed.push(place);
        }
        for entry in entries {
            self.place(entry, change);
        }
        self.meta.incomplete_until = self.meta.incomplete_until.max(incomplete_until.map(Timestamp::millis));
    }
}
