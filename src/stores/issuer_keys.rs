//! What isolates hand each other of trusted issuers' keys: each issuer's key set as it was last read, in KV. Losing one costs a
//! question of its issuer.

use serde::{Deserialize, Serialize};

use crate::{
    domain::{
        time::Timestamp,
        token::issuer::{Issuer, TheirKeys},
    },
    error::ApiError,
    ports::KeyValue,
};

#[derive(Serialize, Deserialize)]
struct Copy<'a> {
    /// Another address is another issuer's, whatever it is called.
    jwks_uri: std::borrow::Cow<'a, str>,
    read_at: i64,
    set: std::borrow::Cow<'a, str>,
}

fn key(issuer: &Issuer) -> String {
    format!("issuer-keys:v1:{}", issuer.id)
}

/// Writes what an issuer answered at `read_at`, for `ttl_secs`.
pub async fn put(
    kv: &dyn KeyValue,
    issuer: &Issuer,
    set: &str,
    read_at: Timestamp,
    ttl_secs: u64,
) -> Result<(), ApiError> {
    let copy = Copy { jwks_uri: issuer.jwks_uri.as_str().into(), read_at: read_at.millis(), set: set.into() };
    let text = serde_json::to_string(&copy).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(kv.put(&key(issuer), &text, ttl_secs).await?)
}

/// What is there of one.
#[derive(Debug)]
pub struct Kept {
    /// The keys.
    pub keys: TheirKeys,
    /// When they were read.
    pub read_at: Timestamp,
    /// As they were read.
    pub set: String,
}

/// Reads it; `None` if there is none that can be used.
pub async fn get(kv: &dyn KeyValue, issuer: &Issuer) -> Result<Option<Kept>, ApiError> {
    let text = kv.get_bulk(&[key(issuer)]).await?.pop().flatten().unwrap_or_default();
    let copy = serde_json::from_str::<Copy<'_>>(&text).ok().filter(|copy| copy.jwks_uri == issuer.jwks_uri);
    let read = |Copy { set, read_at, .. }: Copy<'_>| {
        let keys = TheirKeys::parse(set.as_bytes(), &issuer.algorithms).ok()?;
        Some(Kept { keys, read_at: Timestamp::from_millis(read_at), set: set.into_owned() })
    };
    Ok(copy.and_then(read))
}
