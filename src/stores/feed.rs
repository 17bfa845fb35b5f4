//! Keeping the feed: what is kept is loaded once, what changes is written before anyone is told, and what was
//! missed is pulled from the record. The same on a Durable Object and on the host.

use std::{
    pin::pin,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::{Either, select};
use serde::{Deserialize, Serialize};

use super::revocations;
use crate::{
    domain::{
        revocation::{
            Entry, Versions,
            feed::{Answer, Change, Cursor, Feed, Meta},
            known_entries,
        },
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Timer},
};

/// The record is asked for what was missed at most this often, while anyone asks the feed.
pub const PULL_EVERY: Duration = Duration::from_secs(5);
/// If it was not asked for so long, because nobody asked the feed, it is asked before anything is told …
const PULL_FIRST: Duration = Duration::from_secs(10);
/// … but not waited for any longer than this: what was pushed is here all the same.
const PULL_PATIENCE: Duration = Duration::from_millis(500);
/// A question to the record that took longer was broken off.
const LONGEST_PULL: Duration = Duration::from_secs(15);

/// What is asked of the feed.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ask {
    /// Something was revoked, or copies are old.
    Push {
        /// What was revoked.
        #[serde(deserialize_with = "known_entries")]
        entries: Vec<Entry>,
        /// What copies must be of, if the change knows.
        versions: Option<Versions>,
    },
    /// What came after what is known.
    Since {
        /// What is known.
        cursor: Option<Cursor>,
    },
}

/// All that is kept: the entries by their places, and what is beside them.
pub type Loaded = (Meta, Vec<(u64, Entry)>);

/// Where the feed is kept.
pub trait Disk {
    /// What can go wrong.
    type Error: std::fmt::Display;
    /// All that is kept, if anything is.
    fn load(&self) -> Result<Option<Loaded>, Self::Error>;
    /// Writes what changed. What is new comes first and what is gone last, so that a part of it loses nothing.
    fn save(&self, meta: &Meta, change: &Change) -> Result<(), Self::Error>;
}

/// The keeper.
pub struct Keeper<D> {
    disk: D,
    /// What a feed is called of which nothing is kept.
    name: String,
    feed: Mutex<Option<Feed>>,
    pulling_since: Mutex<Option<Timestamp>>,
}

impl<D: Disk> Keeper<D> {
    /// Over what is kept there; if that is nothing, of a feed of this name, which no other ever had.
    pub const fn new(disk: D, name: String) -> Self {
        Self { disk, name, feed: Mutex::new(None), pulling_since: Mutex::new(None) }
    }

    /// Takes what a change tells of itself. Once this comes back, everyone who asks is told.
    pub fn push(&self, entries: Vec<Entry>, versions: Option<Versions>, now: Timestamp) -> Result<(), ApiError> {
        self.change(|feed| feed.push(entries, versions, now))
    }

    /// Tells what came after what is known. A feed that never read the record reads it first; one that has not for
    /// ten seconds does so if it can.
    pub async fn since(
        &self,
        cursor: Option<&Cursor>,
        database: &dyn Database,
        timer: &dyn Timer,
        now: Timestamp,
    ) -> Result<Answer, ApiError> {
        let (is_complete, pulled_at) =
            self.read(|feed| (feed.is_complete(), Timestamp::from_millis(feed.meta().pulled_at)))?;
        if !is_complete {
            self.pull(database, now).await?;
        } else if now.since(pulled_at) >= PULL_FIRST && !self.is_pulling(now) {
            let pull = pin!(self.pull(database, now));
            if let Either::Right(_) = select(pull, timer.pause(PULL_PATIENCE)).await {
                self.set_pulling(None);
            }
        }
        self.read(|feed| feed.since(cursor, now))
    }

    /// Whether the record should be asked for what was missed. Who is told so asks it with [`Keeper::pull`].
    pub fn pull_is_due(&self, now: Timestamp) -> bool {
        let pulled_at = self.read(|feed| Timestamp::from_millis(feed.meta().pulled_at));
        !self.is_pulling(now) && pulled_at.is_ok_and(|at| now.since(at) >= PULL_EVERY || now < at)
    }

    /// Asks the record for everything that was missed.
    pub async fn pull(&self, database: &dyn Database, now: Timestamp) -> Result<(), ApiError> {
        self.set_pulling(Some(now));
        let pulled = self.pull_all(database, now).await;
        self.set_pulling(None);
        pulled
    }

    fn is_pulling(&self, now: Timestamp) -> bool {
        let pulling = self.pulling_since.lock().unwrap_or_else(PoisonError::into_inner);
        pulling.is_some_and(|since| now.since(since) < LONGEST_PULL && now >= since)
    }

    fn set_pulling(&self, since: Option<Timestamp>) {
        *self.pulling_since.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    async fn pull_all(&self, database: &dyn Database, now: Timestamp) -> Result<(), ApiError> {
        let mut question = self.loaded()?.as_mut().map(|feed| feed.ask_record(now)).ok_or_else(not_loaded)?;
        loop {
            let pulled = revocations::pull(database, question.after, now).await?;
            let (record, more) = (pulled.record, pulled.more);
            self.change(|feed| feed.absorb(pulled, question, now))?;
            if !more {
                return Ok(());
            }
            question = question.after(record);
        }
    }

    /// Forgets what is over; says when the next of its entries is.
    pub fn forget(&self, now: Timestamp) -> Result<Option<Timestamp>, ApiError> {
        self.change(|feed| feed.forget(now))?;
        self.read(Feed::forgettable_at)
    }

    /// When the first of its entries is over.
    pub fn forgettable_at(&self) -> Result<Option<Timestamp>, ApiError> {
        self.read(Feed::forgettable_at)
    }

    fn read<T>(&self, read: impl FnOnce(&Feed) -> T) -> Result<T, ApiError> {
        self.loaded()?.as_ref().map(read).ok_or_else(not_loaded)
    }

    /// Changes the feed and writes what changed. What could not be written is not kept in memory either.
    fn change(&self, change: impl FnOnce(&mut Feed) -> Change) -> Result<(), ApiError> {
        let mut feed = self.loaded()?;
        let loaded = feed.as_mut().ok_or_else(not_loaded)?;
        let before = loaded.meta().clone();
        let changed = change(loaded);
        if changed == Change::default() && *loaded.meta() == before {
            return Ok(());
        }
        let saved = self.disk.save(loaded.meta(), &changed).map_err(|error| internal(&error));
        if saved.is_err() {
            *feed = None;
        }
        saved
    }

    fn loaded(&self) -> Result<MutexGuard<'_, Option<Feed>>, ApiError> {
        let mut feed = self.feed.lock().unwrap_or_else(PoisonError::into_inner);
        if feed.is_none() {
            let kept = self.disk.load().map_err(|error| internal(&error))?;
            *feed =
                Some(kept.map_or_else(|| Feed::new(self.name.clone()), |(meta, entries)| Feed::restore(meta, entries)));
        }
        Ok(feed)
    }
}

fn internal(error: &dyn std::fmt::Display) -> ApiError {
    ApiError::Internal(error.to_string())
}

fn not_loaded() -> ApiError {
    ApiError::Internal("the feed is not loaded".to_owned())
}
