//! The feed in memory, over what it keeps: the same keeper as the Durable Object's. It can be evicted.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;

use super::{
    ManualClock, YieldingTimer,
    sqlite::Sqlite,
    switchboard::{Fate, Switchboard},
};
use crate::{
    domain::revocation::{
        Entry, Versions,
        feed::{Answer, Change, Cursor, Meta},
    },
    ports::{Clock, Revocations, Unavailable},
    stores::feed::{Disk, Keeper, Loaded},
};

/// The name of this port in counts.
pub const PORT: &str = "feed";

type Saved = Option<(Meta, BTreeMap<u64, Entry>)>;

#[derive(Clone, Default)]
struct Kept(Arc<Mutex<Saved>>);

impl Disk for Kept {
    type Error = Infallible;
    fn load(&self) -> Result<Option<Loaded>, Infallible> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Ok(kept.map(|(meta, entries)| (meta, entries.into_iter().collect())))
    }

    fn save(&self, meta: &Meta, change: &Change) -> Result<(), Infallible> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = kept.take().map(|(_, entries)| entries).unwrap_or_default();
        entries.retain(|place, _| !change.removed.contains(place));
        entries.extend(change.added.iter().cloned());
        *kept = Some((meta.clone(), entries));
        drop(kept);
        Ok(())
    }
}

/// One feed.
pub struct NativeFeed {
    kept: Kept,
    keeper: Mutex<Arc<Keeper<Kept>>>,
    names: AtomicU64,
    slowness: Mutex<Duration>,
    switchboard: Arc<Switchboard>,
    clock: Arc<ManualClock>,
    record: Arc<Sqlite>,
}

impl NativeFeed {
    /// Over its own connection to the record.
    pub(super) fn new(switchboard: Arc<Switchboard>, clock: Arc<ManualClock>, record: Arc<Sqlite>) -> Self {
        let kept = Kept::default();
        let keeper = Mutex::new(Arc::new(Keeper::new(kept.clone(), "feed-0".to_owned())));
        Self { kept, keeper, names: AtomicU64::new(1), slowness: Mutex::default(), switchboard, clock, record }
    }

    /// The object is evicted; it comes back with what it kept.
    pub fn evict(&self) {
        let name = format!("feed-{}", self.names.fetch_add(1, Ordering::SeqCst));
        let keeper = Arc::new(Keeper::new(self.kept.clone(), name));
        *self.keeper.lock().unwrap_or_else(PoisonError::into_inner) = keeper;
    }

    /// The object loses everything that it kept.
    pub fn lose(&self) {
        *self.kept.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        self.evict();
    }

    /// From now on an answer takes this long.
    pub fn be_slow(&self, slowness: Duration) {
        *self.slowness.lock().unwrap_or_else(PoisonError::into_inner) = slowness;
    }

    /// The alarm goes off.
    pub fn alarm(&self) {
        let _ = self.keeper().forget(self.clock.now());
    }

    fn keeper(&self) -> Arc<Keeper<Kept>> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn through(&self) -> Result<Fate, Unavailable> {
        match self.switchboard.enter(PORT) {
            Fate::Down => Err(unavailable("switched off")),
            fate => Ok(fate),
        }
    }
}

fn unavailable(message: &(impl ToString + ?Sized)) -> Unavailable {
    Unavailable { port: PORT, message: message.to_string() }
}

fn answer<T>(fate: Fate, value: T) -> Result<T, Unavailable> {
    if fate == Fate::Lost { Err(unavailable("answer lost")) } else { Ok(value) }
}

#[async_trait]
impl Revocations for NativeFeed {
    async fn push(&self, entries: &[Entry], versions: Option<Versions>) -> Result<(), Unavailable> {
        let fate = self.through()?;
        self.keeper().push(entries.to_vec(), versions, self.clock.now()).map_err(|error| unavailable(&error))?;
        answer(fate, ())
    }

    async fn since(&self, cursor: Option<&Cursor>) -> Result<Answer, Unavailable> {
        let fate = self.through()?;
        let (keeper, now) = (self.keeper(), self.clock.now());
        let told = keeper
            .since(cursor, self.record.as_ref(), &YieldingTimer, now)
            .await
            .map_err(|error| unavailable(&error))?;
        // What it missed it pulls beside the answer: who asks next is told.
        if keeper.pull_is_due(now) {
            let _ = keeper.pull(self.record.as_ref(), now).await;
        }
        let slowness = *self.slowness.lock().unwrap_or_else(PoisonError::into_inner);
        self.clock.advance(slowness);
        answer(fate, told)
    }
}
