//! The KV copy of a cookie session: written once, when somebody signs in, so that other isolates need not ask the record
//! about it; deleted once. It is not believed for longer than an hour, and does not stay for longer either.

use crate::{
    domain::{id::SessionId, session::snapshot::Snapshot},
    ports::{KeyValue, Unavailable},
};

/// It stays for so long, in seconds: a little longer than it is believed.
const LIFE_SECS: u64 = 3600;

fn key(id: SessionId) -> String {
    format!("session:v2:{id}")
}

/// Writes it.
pub async fn put(kv: &dyn KeyValue, session: &Snapshot) -> Result<(), Unavailable> {
    let unwritable = |error: serde_json::Error| Unavailable { port: "kv", message: error.to_string() };
    let text = serde_json::to_string(session).map_err(unwritable)?;
    kv.put(&key(session.session), &text, LIFE_SECS).await
}

/// Reads it; `None` if there is none that can be read.
pub async fn get(kv: &dyn KeyValue, id: SessionId) -> Result<Option<Snapshot>, Unavailable> {
    let text = kv.get_bulk(&[key(id)]).await?.pop().flatten();
    let snapshot = text.and_then(|text| serde_json::from_str::<Snapshot>(&text).ok());
    Ok(snapshot.filter(|snapshot| snapshot.session == id))
}

/// Deletes it.
pub async fn delete(kv: &dyn KeyValue, id: SessionId) -> Result<(), Unavailable> {
    kv.delete(&key(id)).await
}
