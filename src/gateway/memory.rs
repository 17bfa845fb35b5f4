//! What an isolate remembers of one kind: bounded in number and in memory, the oldest forgotten first.

use std::{
    collections::{HashMap, VecDeque},
    hash::Hash,
    sync::Arc,
};

/// Something that says about how much memory it takes, in bytes.
pub trait Weigh {
    /// About so many bytes.
    fn bytes(&self) -> usize;
}

/// Such a memory, for at most `ITEMS` things.
#[derive(Debug)]
pub struct Memory<K, V, const ITEMS: usize, const BYTES: usize> {
    items: HashMap<K, Arc<V>>,
    order: VecDeque<K>,
    bytes: usize,
}

impl<K, V, const ITEMS: usize, const BYTES: usize> Default for Memory<K, V, ITEMS, BYTES> {
    fn default() -> Self {
        Self { items: HashMap::new(), order: VecDeque::new(), bytes: 0 }
    }
}

impl<K: Copy + Eq + Hash, V: Weigh, const ITEMS: usize, const BYTES: usize> Memory<K, V, ITEMS, BYTES> {
    /// What is remembered under a key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&Arc<V>> {
        self.items.get(key)
    }

    /// Remembers something. Of too many, or of what takes too much, the oldest are forgotten.
    pub fn insert(&mut self, key: K, value: Arc<V>) {
        self.bytes += value.bytes();
        match self.items.insert(key, value) {
            None => self.order.push_back(key),
            Some(before) => self.bytes = self.bytes.saturating_sub(before.bytes()),
        }
        while self.order.len() > ITEMS || self.bytes > BYTES {
            let Some(oldest) = self.order.pop_front() else { break };
            let forgotten = self.items.remove(&oldest).map_or(0, |value| value.bytes());
            self.bytes = self.bytes.saturating_sub(forgotten);
        }
    }

    /// Forgets everything.
    pub fn clear(&mut self) {
        *self = Self::default();
    }
}
