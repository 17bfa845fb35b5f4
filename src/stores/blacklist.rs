//! The KV copy of what was revoked: for isolates that can reach neither feed nor record. A copy for reading, never
//! the referee.

use futures_util::future::try_join_all;

use crate::{
    domain::{
        revocation::{Entry, Revoked},
        time::Timestamp,
    },
    ports::{KeyValue, Unavailable},
};

/// KV refuses a shorter life than this, in seconds.
const MIN_TTL_SECS: u64 = 60;
/// KV reads no more keys at once.
const MAX_BULK: usize = 100;
/// What an entry holds of which only the presence counts.
const PRESENT: &str = "1";

/// An entry's key. A user's is of the version that was ended: a token asks for its own.
fn key(what: &Revoked) -> Option<String> {
    Some(match what {
        Revoked::Session(id) => format!("sid:{id}"),
        Revoked::Token(id) => format!("jti:{id}"),
        Revoked::Key(id) => format!("kid:{id}"),
        Revoked::ApiKey(id) => format!("api_key:{id}"),
        Revoked::User { id, version } => format!("ver:{id}:{}", version.saturating_sub(1)),
        // What many were merged into stands here one by one.
        Revoked::Given(_) => return None,
    })
}

/// Puts the entries, side by side, for their remaining life.
pub async fn publish(kv: &dyn KeyValue, entries: &[Entry], now: Timestamp) -> Result<(), Unavailable> {
    let keys = entries.iter().filter_map(|entry| Some((key(&entry.what)?, entry.until.since(now).as_secs())));
    let puts = keys.map(|(key, life)| async move { kv.put(&key, PRESENT, life.max(MIN_TTL_SECS)).await });
    try_join_all(puts).await?;
    Ok(())
}

/// Puts those that are not there: what a repeated request does, so that a failure heals without writing one key
/// twice in a second.
pub async fn publish_missing(kv: &dyn KeyValue, entries: &[Entry], now: Timestamp) -> Result<(), Unavailable> {
    let entries: Vec<_> = entries.iter().filter(|entry| key(&entry.what).is_some()).collect();
    for entries in entries.chunks(MAX_BULK) {
        let keys: Vec<_> = entries.iter().filter_map(|entry| key(&entry.what)).collect();
        let there = kv.get_bulk(&keys).await?;
        let missing = entries.iter().zip(there).filter(|(_, there)| there.is_none());
        let missing: Vec<_> = missing.map(|(entry, _)| (*entry).clone()).collect();
        publish(kv, &missing, now).await?;
    }
    Ok(())
}

/// Whether the copy says that any of these was ended.
pub async fn names(kv: &dyn KeyValue, any: &[Revoked]) -> Result<bool, Unavailable> {
    let keys: Vec<_> = any.iter().filter_map(key).collect();
    Ok(kv.get_bulk(&keys).await?.iter().any(Option::is_some))
}
