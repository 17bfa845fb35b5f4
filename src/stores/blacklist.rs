//! The KV copy of what was revoked: for isolates that did not do it. A copy for reading, never
//! the referee; the record is in the database.

use futures_util::future::try_join_all;

use crate::ports::{KeyValue, Unavailable};

/// KV refuses a shorter life than this, in seconds.
const MIN_TTL_SECS: u64 = 60;
/// KV reads no more keys at once.
const MAX_BULK: usize = 100;
/// What an entry holds; only its presence counts.
const PRESENT: &str = "1";

/// Puts the keys, side by side, for their remaining life.
pub async fn publish(kv: &dyn KeyValue, keys: &[String], life_secs: u64) -> Result<(), Unavailable> {
    let ttl = life_secs.max(MIN_TTL_SECS);
    try_join_all(keys.iter().map(|key| kv.put(key, PRESENT, ttl))).await?;
    Ok(())
}

/// Puts those keys that are not there: what a repeated request does, so that a failure heals
/// without writing one key twice in a second.
pub async fn publish_missing(kv: &dyn KeyValue, keys: &[String], life_secs: u64) -> Result<(), Unavailable> {
    for keys in keys.chunks(MAX_BULK) {
        let values = kv.get_bulk(keys).await?;
        let missing = keys.iter().zip(values).filter(|(_, value)| value.is_none()).map(|(key, _)| key.clone());
        publish(kv, &missing.collect::<Vec<_>>(), life_secs).await?;
    }
    Ok(())
}

/// Those of the keys, at most 100, that are there.
pub async fn present(kv: &dyn KeyValue, keys: &[String]) -> Result<Vec<String>, Unavailable> {
    let values = kv.get_bulk(keys).await?;
    Ok(keys.iter().zip(values).filter(|(_, value)| value.is_some()).map(|(key, _)| key.clone()).collect())
}
