//! Signing keys: added, replaced, retired, sealed anew and forgotten. Whoever races for the next key,
//! there is one.

use std::{
    collections::{BTreeMap, HashMap},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::audit;
use crate::{
    domain::{
        audit::Entry,
        time::{Timestamp, millis},
        token::{
            algorithm::Algorithm,
            jwk::{KeyId, PublicKey},
            keyring::{RingKey, VerifyingKey},
            rotation::{Addition, Wanted},
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

/// Reads the keys that live at `now`.
pub(super) fn read_live(now: Timestamp) -> Statement {
    Statement::new(
        "SELECT kid, algorithm, public_key, sealed, publish_at, sign_from, retire_at FROM token_keys
         WHERE retire_at IS NULL OR retire_at > ?1",
        [now.millis().into()],
    )
}

/// A key as it is written down.
#[derive(Serialize, Deserialize)]
pub(super) struct Row {
    kid: KeyId,
    algorithm: String,
    public_key: Option<String>,
    /// What is secret of it; nothing, where that is not wanted.
    sealed: String,
    publish_at: i64,
    sign_from: i64,
    retire_at: Option<i64>,
}

impl Row {
    /// A key as others need it. What is secret of it goes sealed: a fresh isolate is to sign assertions without asking
    /// the record.
    pub fn of(key: &RingKey, sealed: &HashMap<String, String>) -> Self {
        let public_key = match &key.key {
            VerifyingKey::Public(public) => Some(public.canonical()),
            VerifyingKey::Shared(_) => None,
        };
        let sealed = sealed.get(key.kid().as_str()).cloned().unwrap_or_default();
        Self {
            kid: key.kid().clone(),
            algorithm: key.algorithm().name().to_owned(),
            public_key,
            sealed,
            publish_at: key.publish_at.millis(),
            sign_from: key.sign_from.millis(),
            retire_at: key.retire_at.map(Timestamp::millis),
        }
    }
}

/// Keys as they were read.
#[derive(Default)]
pub(super) struct Ring {
    pub keys: Vec<RingKey>,
    pub sealed: HashMap<String, String>,
    /// What is no key here, by id, and why: sealed under a secret that is not known, or of another version's making.
    pub unreadable: BTreeMap<String, String>,
}

/// Rows to keys. One that cannot be read does not stand in the others' way.
pub(super) async fn ring(rows: Vec<Row>, crypto: &dyn Crypto) -> Ring {
    let mut ring = Ring::default();
    for row in rows {
        match verifying_key(&row, crypto).await {
            Ok(key) => {
                ring.keys.push(RingKey {
                    key,
                    publish_at: Timestamp::from_millis(row.publish_at),
                    sign_from: Timestamp::from_millis(row.sign_from),
                    retire_at: row.retire_at.map(Timestamp::from_millis),
                });
                if !row.sealed.is_empty() {
                    ring.sealed.insert(row.kid.as_str().to_owned(), row.sealed);
                }
            }
            Err(why) => drop(ring.unreadable.insert(row.kid.as_str().to_owned(), why)),
        }
    }
    ring
}

/// What a row verifies with. Shared keys are opened for that.
async fn verifying_key(row: &Row, crypto: &dyn Crypto) -> Result<VerifyingKey, String> {
    let algorithm = Algorithm::parse(&row.algorithm).ok_or("another algorithm")?;
    let key = if let Some(members) = &row.public_key {
        VerifyingKey::Public(PublicKey::from_members(algorithm, members).map_err(|error| error.to_string())?)
    } else {
        let opened = crypto.shared_key(&row.kid, algorithm, &row.sealed).await;
        VerifyingKey::Shared(opened.map_err(|error| error.to_string())?)
    };
    // A key is what its id says, whoever wrote the row.
    if *key.kid() == row.kid { Ok(key) } else { Err("another id".to_owned()) }
}

/// Adds a key unless there is a newer one than was seen when it was planned. One whose end is decided
/// does not count: it will not be there for long.
pub(super) fn add(key: &SealedKey, planned: &Addition, now: Timestamp) -> Statement {
    // No key signs before this time.
    let after = planned.after.map_or(-1, Timestamp::millis);
    let mut params = row(key, now, planned.sign_from);
    params.push(after.into());
    Statement::new(
        "INSERT INTO token_keys (kid, algorithm, public_key, sealed, publish_at, sign_from)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (
           SELECT 1 FROM token_keys
           WHERE algorithm = ?2 AND sign_from > ?7 AND retire_at IS NULL)
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

/// Lets a key that waits sign as soon as it has been published for long enough.
pub(super) fn bring_forward(algorithm: Algorithm, lead: Duration, now: Timestamp) -> Statement {
    Statement::new(
        "UPDATE token_keys SET sign_from = MAX(publish_at + ?1, ?2)
         WHERE algorithm = ?3 AND retire_at IS NULL AND sign_from > MAX(publish_at + ?1, ?2)",
        [millis(lead).into(), now.millis().into(), algorithm.name().into()],
    )
}

/// Decides the end of keys that have a successor, which may have come forward since, and of those whose
/// algorithm is not wanted any more.
pub(super) fn retire_replaced(wanted: Wanted, tail: Duration, now: Timestamp) -> [Statement; 2] {
    [
        // A successor is a key that signs later and was not ended before it could.
        Statement::new(
            "UPDATE token_keys SET retire_at = MIN(COALESCE(retire_at, 9007199254740991), ?1 + s.sign_from)
             FROM (SELECT k.kid AS kid, MIN(n.sign_from) AS sign_from FROM token_keys k
                   JOIN token_keys n ON n.algorithm = k.algorithm AND n.sign_from > k.sign_from
                    AND (n.retire_at IS NULL OR n.retire_at > n.sign_from)
                   GROUP BY k.kid) s
             WHERE token_keys.kid = s.kid",
            [millis(tail).into()],
        ),
        Statement::new(
            "UPDATE token_keys SET retire_at = ?1 + MAX(?2, (
               SELECT MIN(n.sign_from) FROM token_keys n WHERE n.algorithm = ?3 AND n.retire_at IS NULL))
             WHERE retire_at IS NULL AND algorithm NOT IN (?3, ?4)
             AND EXISTS (SELECT 1 FROM token_keys n WHERE n.algorithm = ?3 AND n.retire_at IS NULL)",
            [millis(tail).into(), now.millis().into(), wanted.access.name().into(), wanted.assertions.name().into()],
        ),
    ]
}

/// Puts new keys in the place of all others, at once: what those signed is believed no more. What
/// that means for tokens that are out could matter until `until`. Done already, it is not done again: by
/// then others may have come.
pub(super) fn replace_all(new: &[(SealedKey, Entry)], now: Timestamp, until: Timestamp) -> Vec<Statement> {
    let kid = |key: Option<&(SealedKey, Entry)>| key.map_or("", |(key, _)| key.kid.as_str()).into();
    let (first, last): (Value, Value) = (kid(new.first()), kid(new.last()));
    let mut batch = vec![
        Statement::new(
            "INSERT INTO revocations (kind, value, created_at, until)
             SELECT 'key', kid, ?1, ?2 FROM token_keys
             WHERE (retire_at IS NULL OR retire_at > ?1)
             AND NOT EXISTS (SELECT 1 FROM token_keys WHERE kid IN (?3, ?4))
             ON CONFLICT (kind, value) DO NOTHING",
            [now.millis().into(), until.millis().into(), first.clone(), last.clone()],
        ),
        Statement::new(
            "UPDATE token_keys SET retire_at = ?1
             WHERE (retire_at IS NULL OR retire_at > ?1)
             AND NOT EXISTS (SELECT 1 FROM token_keys WHERE kid IN (?2, ?3))",
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
