//! The key-value port in memory, as awkward as the real one: it refuses lives under 60 seconds
//! and a second write to a key within a second, and it can be told to be stale.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;

use super::{
    ManualClock,
    switchboard::{Fate, Switchboard},
};
use crate::{
    domain::time::Timestamp,
    ports::{Clock, KeyValue, Unavailable},
};

/// The name of this port in counts.
pub const PORT: &str = "kv";

#[derive(Clone, Debug)]
struct Entry {
    value: String,
    written_at: Timestamp,
    expires_at: Timestamp,
}

#[derive(Default)]
struct State {
    entries: HashMap<String, Entry>,
    staleness: Duration,
    slowness: Duration,
    /// What a reader was last told, and when: told again while it is not older than the staleness.
    told: HashMap<String, (Option<String>, Timestamp)>,
}

/// One namespace.
pub struct NativeKv {
    state: Mutex<State>,
    switchboard: Arc<Switchboard>,
    clock: Arc<ManualClock>,
}

impl NativeKv {
    pub(super) fn new(switchboard: Arc<Switchboard>, clock: Arc<ManualClock>) -> Self {
        Self { state: Mutex::default(), switchboard, clock }
    }

    /// From now on a read may repeat what it said up to `staleness` ago, present and absent alike.
    pub fn be_stale(&self, staleness: Duration) {
        self.state(|state, _| state.staleness = staleness);
    }

    /// From now on a read takes this long.
    pub fn be_slow(&self, slowness: Duration) {
        self.state(|state, _| state.slowness = slowness);
    }

    /// The keys that are there now.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let mut keys: Vec<_> = self.state(|state, now| {
            state.entries.iter().filter(|(_, entry)| entry.expires_at > now).map(|(key, _)| key.clone()).collect()
        });
        keys.sort_unstable();
        keys
    }

    fn state<T>(&self, work: impl FnOnce(&mut State, Timestamp) -> T) -> T {
        work(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner), self.clock.now())
    }

    fn through(&self) -> Result<Fate, Unavailable> {
        match self.switchboard.enter(PORT) {
            Fate::Down => Err(unavailable("switched off")),
            fate => Ok(fate),
        }
    }
}

fn unavailable(message: &str) -> Unavailable {
    Unavailable { port: PORT, message: message.to_owned() }
}

fn answer<T>(fate: Fate, value: T) -> Result<T, Unavailable> {
    if fate == Fate::Lost { Err(unavailable("answer lost")) } else { Ok(value) }
}

impl State {
    fn read(&mut self, key: &str, now: Timestamp) -> Option<String> {
        if let Some((value, told_at)) = self.told.get(key)
            && now.since(*told_at) < self.staleness
        {
            return value.clone();
        }
        let value = self.entries.get(key).filter(|entry| entry.expires_at > now).map(|entry| entry.value.clone());
        self.told.insert(key.to_owned(), (value.clone(), now));
        value
    }
}

#[async_trait]
impl KeyValue for NativeKv {
    async fn get_bulk(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable> {
        let fate = self.through()?;
        if keys.len() > 100 {
            return Err(unavailable("400 You can request a maximum of 100 keys"));
        }
        let read = |state: &mut State, now| (keys.iter().map(|key| state.read(key, now)).collect(), state.slowness);
        let (values, slowness) = self.state(read);
        self.clock.advance(slowness);
        answer(fate, values)
    }

    async fn put(&self, key: &str, value: &str, ttl_secs: u64) -> Result<(), Unavailable> {
        let fate = self.through()?;
        if ttl_secs < 60 {
            return Err(unavailable("400 Invalid expiration_ttl: must be at least 60"));
        }
        let written = self.state(|state, now| {
            let expires_at = now.plus(Duration::from_secs(ttl_secs));
            let entry = Entry { value: value.to_owned(), written_at: now, expires_at };
            let before = state.entries.get(key);
            let may = before.is_none_or(|before| now.since(before.written_at) >= Duration::from_secs(1));
            if may {
                state.entries.insert(key.to_owned(), entry);
            }
            may
        });
        if !written {
            return Err(unavailable("429 Too Many Requests: one write a second per key"));
        }
        answer(fate, ())
    }

    async fn delete(&self, key: &str) -> Result<(), Unavailable> {
        let fate = self.through()?;
        self.state(|state, _| state.entries.remove(key));
        answer(fate, ())
    }
}
