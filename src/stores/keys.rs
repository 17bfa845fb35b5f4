//! Signing keys: added, replaced, retired, sealed anew and forgotten. Whoever races for the next key,
//! there is one.

use std::{collections::HashMap, time::Duration};

use serde::Deserialize;

use super::audit;
use crate::{
    domain::{
        audit::Entry,
        time::{Timestamp, millis},
        token::{
            algorithm::Algorithm,
            jwk::{KeyId, PublicKey},
            keyring::{KeyRing, RingKey, VerifyingKey},
            rotation::Addition,
        },
    },
    error::ApiError,
    ports::{Crypto, Rows, SealedKey, Statement, Value},
};

/// Reads the version of the keys.
pub(super) fn read_version() -> Statement {
    Statement::new("SELECT version FROM versions WHERE name = 'keys'", [])
}

/// The version that was read.
pub(super) fn version(rows: Rows) -> Result<i64, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        version: i64,
    }
    Ok(rows.first::<Row>()?.map_or(0, |row| row.version))
}

/// Makes every copy of the keys an old one.
pub(super) fn raise_version() -> Statement {
    Statement::new("UPDATE versions SET version = version + 1 WHERE name = 'keys'", [])
}

/// Reads the keys that live at `now`.
pub(super) fn read_live(now: Timestamp) -> Statement {
    Statement::new(
        "SELECT kid, algorithm, public_key, sealed, publish_at, sign_from, retire_at FROM token_keys
         WHERE retire_at IS NULL OR retire_at > ?1",
        [now.millis().into()],
    )
}

#[derive(Deserialize)]
struct Row {
    kid: KeyId,
    algorithm: String,
    public_key: Option<String>,
    sealed: String,
    publish_at: i64,
    sign_from: i64,
    retire_at: Option<i64>,
}

/// Rows to keys. Shared keys are opened, so that they can verify.
pub(super) async fn ring(rows: Rows, crypto: &dyn Crypto) -> Result<(KeyRing, HashMap<String, String>), ApiError> {
    let (mut keys, mut sealed) = (Vec::new(), HashMap::new());
    for row in rows.all::<Row>()? {
        let bad = || ApiError::Internal(format!("token_keys holds what is no key: {}", row.kid));
        let algorithm = Algorithm::parse(&row.algorithm).ok_or_else(bad)?;
        let key = match &row.public_key {
            Some(members) => VerifyingKey::Public(PublicKey::from_members(algorithm, members).map_err(|_| bad())?),
            None => VerifyingKey::Shared(crypto.shared_key(&row.kid, algorithm, &row.sealed).await?),
        };
        let key = RingKey {
            key,
            publish_at: Timestamp::from_millis(row.publish_at),
            sign_from: Timestamp::from_millis(row.sign_from),
            retire_at: row.retire_at.map(Timestamp::from_millis),
        };
        // A key is what its id says, whoever wrote the row.
        if *key.kid() != row.kid {
            return Err(bad());
        }
        sealed.insert(row.kid.as_str().to_owned(), row.sealed);
        keys.push(key);
    }
    Ok((keys.into_iter().collect(), sealed))
}

/// Adds a key unless there is a newer one than was seen when it was planned.
pub(super) fn add(key: &SealedKey, planned: &Addition, now: Timestamp) -> Statement {
    // No time is before this one.
    let after = planned.after.map_or(-1, Timestamp::millis);
    let mut params = row(key, now, planned.sign_from);
    params.push(after.into());
    Statement::new(
        "INSERT INTO token_keys (kid, algorithm, public_key, sealed, publish_at, sign_from)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (
           SELECT 1 FROM token_keys
           WHERE algorithm = ?2 AND sign_from > ?7 AND (retire_at IS NULL OR retire_at > ?5))
         ON CONFLICT (kid) DO NOTHING",
        params,
    )
}

fn row(key: &SealedKey, now: Timestamp, sign_from: Timestamp) -> Vec<Value> {
    vec![
        key.kid.as_str().into(),
        key.algorithm.name().into(),
        key.public.as_ref().map(PublicKey::canonical).into(),
        key.sealed.as_str().into(),
        now.millis().into(),
        sign_from.millis().into(),
    ]
}

/// Lets keys that wait sign as soon as they have been published for long enough.
pub(super) fn bring_forward(lead: Duration, now: Timestamp) -> Statement {
    Statement::new(
        "UPDATE token_keys SET sign_from = MAX(publish_at + ?1, ?2)
         WHERE sign_from > MAX(publish_at + ?1, ?2) AND (retire_at IS NULL OR retire_at > ?2)",
        [millis(lead).into(), now.millis().into()],
    )
}

/// Decides the end of keys that have a successor, and of those whose algorithm is not `wanted` any
/// more. `wanted` begins with the algorithm of access tokens.
pub(super) fn retire_replaced(wanted: &[Algorithm], tail: Duration, now: Timestamp) -> [Statement; 2] {
    let name = |algorithm: Option<&Algorithm>| algorithm.map_or("", |algorithm| algorithm.name());
    let (access, other) = (name(wanted.first()), name(wanted.last()));
    [
        Statement::new(
            "UPDATE token_keys SET retire_at = ?1 + (
               SELECT MIN(n.sign_from) FROM token_keys n
               WHERE n.algorithm = token_keys.algorithm AND n.sign_from > token_keys.sign_from)
             WHERE retire_at IS NULL AND EXISTS (
               SELECT 1 FROM token_keys n
               WHERE n.algorithm = token_keys.algorithm AND n.sign_from > token_keys.sign_from)",
            [millis(tail).into()],
        ),
        Statement::new(
            "UPDATE token_keys SET retire_at = ?1 + MAX(?2, (
               SELECT MIN(n.sign_from) FROM token_keys n
               WHERE n.algorithm = ?3 AND (n.retire_at IS NULL OR n.retire_at > ?2)))
             WHERE retire_at IS NULL AND algorithm NOT IN (?3, ?4) AND EXISTS (
               SELECT 1 FROM token_keys n WHERE n.algorithm = ?3 AND (n.retire_at IS NULL OR n.retire_at > ?2))",
            [millis(tail).into(), now.millis().into(), access.into(), other.into()],
        ),
    ]
}

/// Puts new keys in the place of all others, at once: what those signed is believed no more. What
/// that means for tokens that are out could matter until `until`.
pub(super) fn replace_all(new: &[(SealedKey, Entry)], now: Timestamp, until: Timestamp) -> Vec<Statement> {
    let kid = |key: Option<&(SealedKey, Entry)>| key.map_or("", |(key, _)| key.kid.as_str()).into();
    let (first, last): (Value, Value) = (kid(new.first()), kid(new.last()));
    let mut batch = vec![
        Statement::new(
            "INSERT INTO revocations (kind, value, created_at, until)
             SELECT 'key', kid, ?1, ?2 FROM token_keys
             WHERE (retire_at IS NULL OR retire_at > ?1) AND kid NOT IN (?3, ?4)
             ON CONFLICT (kind, value) DO NOTHING",
            [now.millis().into(), until.millis().into(), first.clone(), last.clone()],
        ),
        Statement::new(
            "UPDATE token_keys SET retire_at = ?1
             WHERE (retire_at IS NULL OR retire_at > ?1) AND kid NOT IN (?2, ?3)",
            [now.millis().into(), first, last],
        ),
    ];
    for (key, entry) in new {
        batch.push(Statement::new(
            "INSERT INTO token_keys (kid, algorithm, public_key, sealed, publish_at, sign_from)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (kid) DO NOTHING",
            row(key, now, now),
        ));
        batch.push(audit::write_if_changed(entry));
    }
    batch
}

/// Reads which keys were ended before their time, as far as that still matters.
pub(super) fn read_revoked(now: Timestamp) -> Statement {
    Statement::new("SELECT value AS kid FROM revocations WHERE kind = 'key' AND until > ?1", [now.millis().into()])
}

/// The ids that were read.
pub(super) fn revoked(rows: Rows) -> Result<Vec<KeyId>, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        kid: KeyId,
    }
    Ok(rows.all::<Row>()?.into_iter().map(|row| row.kid).collect())
}

/// Keeps a key sealed anew, if it is still sealed as it was read.
pub(super) fn reseal(kid: &str, old: &str, new: &str) -> Statement {
    Statement::new(
        "UPDATE token_keys SET sealed = ?3 WHERE kid = ?1 AND sealed = ?2",
        [kid.into(), old.into(), new.into()],
    )
}

/// Forgets keys that are over, with their private halves.
pub(super) fn forget_retired(now: Timestamp) -> Statement {
    Statement::new("DELETE FROM token_keys WHERE retire_at <= ?1", [now.millis().into()])
}
