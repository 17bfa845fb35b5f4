//! The key-value port on Workers KV.

use async_trait::async_trait;
use worker::{kv::KvStore, send::SendFuture};

use super::bounded;
use crate::ports::{KeyValue, Unavailable};

/// One KV namespace.
pub struct Kv {
    name: &'static str,
    store: KvStore,
}

impl Kv {
    /// The bound namespace.
    #[must_use]
    pub const fn new(name: &'static str, store: KvStore) -> Self {
        Self { name, store }
    }
}

#[async_trait]
impl KeyValue for Kv {
    async fn get_bulk(&self, keys: &[String]) -> Result<Vec<Option<String>>, Unavailable> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let read = SendFuture::new(bounded(self.name, self.store.get_bulk(keys).text()));
        let mut values = read.await?;
        Ok(keys.iter().map(|key| values.remove(key).flatten()).collect())
    }

    async fn put(&self, key: &str, value: &str, ttl_secs: u64) -> Result<(), Unavailable> {
        let write = async { self.store.put(key, value)?.expiration_ttl(ttl_secs).execute().await };
        SendFuture::new(bounded(self.name, write)).await
    }

    async fn delete(&self, key: &str) -> Result<(), Unavailable> {
        SendFuture::new(bounded(self.name, self.store.delete(key))).await
    }
}
