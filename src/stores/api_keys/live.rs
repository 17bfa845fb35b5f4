//! Whether an API key stands, and that it is used.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        api_key::{addresses::Addresses, snapshot::KeySnapshot},
        id::{ApiKeyId, UserId},
        time::Timestamp,
        user::{RoleGrant, roles, roles_until},
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{last, run},
};

/// What a key stands for, as the record has it at `now`; `None` if it is none that stands, or its owner's account is not
/// active.
pub async fn snapshot(
    database: &dyn Database,
    id: ApiKeyId,
    secret_hash: &str,
    now: Timestamp,
) -> Result<Option<KeySnapshot>, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        user_id: UserId,
        username: String,
        verified_email: Option<String>,
        grants: String,
        token_version: i64,
        scopes: String,
        with_factor: i64,
        addresses: String,
        per_minute: Option<u32>,
        expires_at: Timestamp,
        last_used_at: Option<Timestamp>,
    }
    let question = Statement::new(
        "SELECT k.user_id, u.username, CASE u.email_verified WHEN 1 THEN u.email END AS verified_email,
           (SELECT json_group_array(json_object('role', role, 'expires_at', expires_at))
              FROM (SELECT role, expires_at FROM user_roles WHERE user_id = u.id ORDER BY role)) AS grants,
           u.token_version, k.scopes, k.with_factor, k.addresses, k.per_minute, k.expires_at, k.last_used_at
         FROM api_keys k JOIN users u ON u.id = k.user_id
         WHERE k.id = ?1 AND k.secret_hash = ?2 AND k.ended_at IS NULL AND k.expires_at > ?3 AND u.is_active = 1",
        [id.to_string().into(), secret_hash.into(), now.millis().into()],
    );
    let Some(row) = last(run(database, vec![question]).await?).first::<Row>()? else { return Ok(None) };
    let unreadable = |error: serde_json::Error| ApiError::Internal(error.to_string());
    let grants: Vec<RoleGrant> = serde_json::from_str(&row.grants).map_err(unreadable)?;
    // A list that cannot be read lets nobody in from anywhere.
    let addresses: Addresses = serde_json::from_str(&row.addresses).map_err(unreadable)?;
    Ok(Some(KeySnapshot {
        key: id,
        user: row.user_id,
        username: row.username,
        verified_email: row.verified_email,
        roles: roles(&grants, now),
        roles_until: roles_until(&grants, now),
        version: row.token_version,
        scopes: row.scopes,
        with_factor: row.with_factor == 1,
        addresses,
        per_minute: row.per_minute,
        expires_at: row.expires_at,
        used_at: row.last_used_at,
        as_of: now,
    }))
}

/// Writes down when keys were used.
pub async fn note_uses(database: &dyn Database, uses: &[(ApiKeyId, Timestamp)]) -> Result<(), ApiError> {
    if uses.is_empty() {
        return Ok(());
    }
    let uses: Vec<_> = uses.iter().map(|(id, at)| json!({ "id": id, "at": at })).collect();
    let update = Statement::new(
        "UPDATE api_keys SET last_used_at = used.at
         FROM (SELECT value ->> 'id' AS id, value ->> 'at' AS at FROM json_each(?1)) AS used
         WHERE api_keys.id = used.id AND COALESCE(last_used_at, 0) < used.at",
        [json!(uses).to_string().into()],
    );
    run(database, vec![update]).await?;
    Ok(())
}
