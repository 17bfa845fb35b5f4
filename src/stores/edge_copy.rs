//! The edge bundle: what isolates hold a copy of, as one value in KV. Written at each change from the record, read once
//! by a fresh isolate. It may be of an earlier version; the feed tells of which it must be.

use serde::{Deserialize, Serialize};

use super::keys::{self, Ring};
use crate::{
    domain::{bundle::Bundle, rbac::RoleGraph, revocation::Versions, time::Timestamp, versions::Put},
    error::ApiError,
    ports::{Crypto, KeyValue},
};

/// Where it is kept. Another form of it has another name.
const KEY: &str = "edge-bundle:v5";
/// It is written anew every hour; one that nobody writes any more does not stay for ever, in seconds.
const LIFE_SECS: u64 = 7 * 86_400;

/// What is kept: keys, what is secret of them sealed, what each role says, and the policies that were put live; what it comes
/// to is worked out by who reads it.
#[derive(Serialize, Deserialize)]
struct Copy {
    versions: Versions,
    as_of: i64,
    keys: Vec<keys::Row>,
    roles: RoleGraph,
    policies: Put,
}

/// Writes it.
pub async fn put(kv: &dyn KeyValue, bundle: &Bundle) -> Result<(), ApiError> {
    let copy = Copy {
        versions: bundle.versions,
        as_of: bundle.as_of.millis(),
        keys: bundle.keyring.keys().map(|key| keys::Row::of(key, &bundle.sealed)).collect(),
        roles: bundle.roles.clone(),
        policies: bundle.policies.clone(),
    };
    let text = serde_json::to_string(&copy).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(kv.put(KEY, &text, LIFE_SECS).await?)
}

/// Reads it; `None` if there is none that can be read.
pub async fn get(kv: &dyn KeyValue, crypto: &dyn Crypto) -> Result<Option<Bundle>, ApiError> {
    let text = kv.get_bulk(&[KEY.to_owned()]).await?.pop().flatten();
    let Some(Copy { versions, as_of, keys, roles, policies }) = text.and_then(|text| serde_json::from_str(&text).ok())
    else {
        return Ok(None);
    };
    let Ring { keys, sealed, unreadable } = keys::ring(keys, crypto).await;
    let (keyring, as_of) = (keys.into_iter().collect(), Timestamp::from_millis(as_of));
    Ok(Some(Bundle { keyring, sealed, unreadable, roles, policies, versions, as_of, is_copy: true, order: 0 }))
}
