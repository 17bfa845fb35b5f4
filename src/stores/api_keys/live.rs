//! Whether an API key stands, and that it is used.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        api_key::{addresses::Addresses, snapshot::KeySnapshot},
        id::ApiKeyId,
        time::Timestamp,
        user::User,
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{
        last, run,
        users::{UserRow, user_columns},
    },
};

/// What a key stands for, as the record has it at `now`; `None` if it is none that stands, or its owner's account is not
/// active. A second factor that its owner showed when they made it counts as long as it is theirs.
pub async fn snapshot(
    database: &dyn Database,
    id: ApiKeyId,
    secret_hash: &str,
    now: Timestamp,
) -> Result<Option<KeySnapshot>, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(flatten)]
        owner: UserRow,
        scopes: String,
        with_factor: i64,
        addresses: String,
        per_minute: Option<u32>,
        expires_at: Timestamp,
        last_used_at: Option<Timestamp>,
    }
    let question = Statement::new(
        concat!(
            "SELECT ",
            user_columns!(),
            ", k.scopes, k.with_factor AND EXISTS (
               SELECT 1 FROM totp_factors f WHERE f.user_id = u.id AND f.enabled_at <= k.created_at) AS with_factor, k.addresses, k.per_minute, k.expires_at, k.last_used_at
             FROM api_keys k JOIN users u ON u.id = k.user_id
             WHERE k.id = ?1 AND k.secret_hash = ?2 AND k.ended_at IS NULL AND k.expires_at > ?3 AND u.is_active = 1"
        ),
        [id.to_string().into(), secret_hash.into(), now.millis().into()],
    );
    let Some(row) = last(run(database, vec![question]).await?).first::<Row>()? else { return Ok(None) };
    let owner = User::try_from(row.owner)?;
    // A list that cannot be read lets nobody in from anywhere.
    let addresses: Addresses =
        serde_json::from_str(&row.addresses).map_err(|error| ApiError::Internal(error.to_string()))?;
    Ok(Some(KeySnapshot {
        key: id,
        user: owner.id,
        roles: owner.roles(now),
        roles_until: owner.roles_until(now),
        version: owner.token_version,
        username: owner.username,
        verified_email: owner.email_verified.then_some(owner.email),
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
