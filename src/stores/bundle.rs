//! What an isolate reads once: our keys, and what roles give.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::run;
use crate::{
    domain::{
        bundle::Bundle,
        rbac::{RoleGraph, RoleRecord},
        time::Timestamp,
        token::{jwk::PublicKey, keyring::RingKey},
    },
    error::ApiError,
    ports::{Crypto, Database, Rows, SealedKey, Statement},
};

const READ_KEYS: &str = "SELECT x, sealed, publish_at, sign_from, retire_at FROM signing_keys
     WHERE retire_at IS NULL OR retire_at > ?1";
const READ_ROLES: &str = "SELECT r.name,
     (SELECT json_group_array(inherits) FROM role_inherits WHERE role = r.name) AS inherits,
     (SELECT json_group_array(permission) FROM role_permissions WHERE role = r.name) AS permissions
     FROM roles r";

/// Reads the bundle; where there is no key that signs, makes the first one.
pub async fn read(database: &dyn Database, crypto: &dyn Crypto, now: Timestamp) -> Result<Bundle, ApiError> {
    let bundle = build(run(database, read_statements(now)).await?)?;
    if bundle.keyring.signing(now).is_some() {
        return Ok(bundle);
    }
    let mut batch = vec![add_first_key(&crypto.make_key().await?, now)];
    batch.extend(read_statements(now));
    let rows = run(database, batch).await?;
    build(rows.into_iter().skip(1).collect())
}

fn read_statements(now: Timestamp) -> Vec<Statement> {
    vec![Statement::new(READ_KEYS, [now.millis().into()]), Statement::new(READ_ROLES, [])]
}

/// Adds a key unless one lives already: of two isolates that start at once, one adds, though their
/// clocks differ.
fn add_first_key(key: &SealedKey, now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO signing_keys (kid, algorithm, x, sealed, publish_at, sign_from)
         SELECT ?1, ?2, ?3, ?4, ?5, ?5 WHERE NOT EXISTS (
           SELECT 1 FROM signing_keys WHERE retire_at IS NULL OR retire_at > ?5)
         ON CONFLICT (kid) DO NOTHING",
        [
            key.public.key_id().as_str().into(),
            key.public.algorithm().name().into(),
            key.public.x().into(),
            key.sealed.as_str().into(),
            now.millis().into(),
        ],
    )
}

#[derive(Deserialize)]
struct KeyRow {
    x: String,
    sealed: String,
    publish_at: i64,
    sign_from: i64,
    retire_at: Option<i64>,
}

#[derive(Deserialize)]
struct RoleRow {
    name: String,
    inherits: String,
    permissions: String,
}

/// Rows to knowledge.
fn build(rows: Vec<Rows>) -> Result<Bundle, ApiError> {
    let mut rows = rows.into_iter();
    let keys = rows.next().unwrap_or_default().all::<KeyRow>()?;
    let roles = rows.next().unwrap_or_default().all::<RoleRow>()?;
    let (mut ring, mut sealed) = (Vec::new(), std::collections::HashMap::new());
    for row in keys {
        let public = PublicKey::from_x(&row.x).map_err(internal)?;
        sealed.insert(public.key_id().as_str().to_owned(), row.sealed);
        ring.push(RingKey {
            public,
            publish_at: Timestamp::from_millis(row.publish_at),
            sign_from: Timestamp::from_millis(row.sign_from),
            retire_at: row.retire_at.map(Timestamp::from_millis),
        });
    }
    let mut records = BTreeMap::new();
    for row in roles {
        let inherits = serde_json::from_str(&row.inherits).map_err(internal)?;
        let permissions = serde_json::from_str(&row.permissions).map_err(internal)?;
        records.insert(row.name, RoleRecord { inherits, permissions });
    }
    Ok(Bundle { keyring: ring.into_iter().collect(), sealed, roles: RoleGraph::new(&records) })
}

fn internal(error: impl std::fmt::Display) -> ApiError {
    ApiError::Internal(error.to_string())
}
