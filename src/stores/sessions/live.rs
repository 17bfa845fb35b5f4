//! Whether a session still stands, and that it is used.

use serde::Deserialize;
use serde_json::json;

use super::is_live;
use crate::{
    domain::{id::SessionId, session::snapshot::Snapshot, time::Timestamp, token::verify::VerifiedClaims, user::User},
    error::ApiError,
    ports::{Database, Statement},
    stores::{
        last, run,
        users::{UserRow, user_columns},
    },
};

/// Whether what a token rests on still stands, as the record has it: the session, the account, the
/// account's token version, the token itself, and the key that signed it.
pub async fn stands(database: &dyn Database, claims: &VerifiedClaims, now: Timestamp) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        stands: i64,
    }
    let question = Statement::new(
        "SELECT COUNT(*) AS stands FROM sessions s JOIN users u ON u.id = s.user_id
         WHERE s.id = ?1 AND u.id = ?2 AND s.ended_at IS NULL AND s.expires_at > ?3
         AND u.is_active = 1 AND u.token_version = ?4
         AND NOT EXISTS (SELECT 1 FROM revocations WHERE kind = 'token' AND value = ?5)
         AND NOT EXISTS (SELECT 1 FROM revocations WHERE kind = 'key' AND value = ?6)
         AND EXISTS (SELECT 1 FROM token_keys WHERE kid = ?6 AND (retire_at IS NULL OR retire_at > ?3))",
        [
            claims.session().to_string().into(),
            claims.claims().sub.as_str().into(),
            now.millis().into(),
            claims.claims().ver.into(),
            claims.token().to_string().into(),
            claims.key().as_str().into(),
        ],
    );
    let row = last(run(database, vec![question]).await?).first::<Row>()?;
    Ok(row.is_some_and(|row| row.stands == 1))
}

/// What a cookie session stands for, as the record has it at `now`; `None` if there is none that stands, or its
/// account is not active.
pub async fn snapshot(database: &dyn Database, id: SessionId, now: Timestamp) -> Result<Option<Snapshot>, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        #[serde(flatten)]
        user: UserRow,
        salt: String,
        scope: Option<String>,
        amr: String,
        authenticated_at: Timestamp,
        expires_at: Timestamp,
        idle_ms: i64,
        idle_until: Timestamp,
        seen_at: Timestamp,
    }
    let question = Statement::new(
        concat!(
            "SELECT ",
            user_columns!(),
            ", s.salt, s.scope, s.amr,
               COALESCE(s.authenticated_at, s.created_at) AS authenticated_at, s.expires_at, s.idle_ms, s.idle_until,
               COALESCE(s.last_seen_at, s.created_at) AS seen_at
             FROM sessions s JOIN users u ON u.id = s.user_id
             WHERE s.id = ?1 AND s.kind = 'cookie' AND u.is_active = 1 AND ",
            is_live!()
        ),
        [id.to_string().into(), now.millis().into()],
    );
    let Some(row) = last(run(database, vec![question]).await?).first::<Row>()? else { return Ok(None) };
    let user = User::try_from(row.user)?;
    Ok(Some(Snapshot {
        session: id,
        salt: row.salt,
        user: user.id,
        roles: user.roles(now),
        roles_until: user.roles_until(now),
        version: user.token_version,
        username: user.username,
        verified_email: user.email_verified.then_some(user.email),
        scope: row.scope,
        amr: row.amr.split(' ').map(ToOwned::to_owned).collect(),
        authenticated_at: Some(row.authenticated_at),
        expires_at: row.expires_at,
        idle_ms: row.idle_ms,
        idle_until: row.idle_until,
        seen_at: row.seen_at,
        as_of: now,
    }))
}

/// Writes down when cookie sessions were used. What was used while it stood goes on from then; a late word of it
/// brings nothing back.
pub async fn note_uses(database: &dyn Database, uses: &[(SessionId, Timestamp)]) -> Result<(), ApiError> {
    if uses.is_empty() {
        return Ok(());
    }
    let uses: Vec<_> = uses.iter().map(|(id, at)| json!({ "id": id, "at": at })).collect();
    let update = Statement::new(
        "UPDATE sessions SET last_seen_at = used.at, idle_until = MIN(expires_at, used.at + idle_ms)
         FROM (SELECT value ->> 'id' AS id, value ->> 'at' AS at FROM json_each(?1)) AS used
         WHERE sessions.id = used.id AND kind = 'cookie' AND ended_at IS NULL AND idle_until > used.at
         AND COALESCE(last_seen_at, created_at) < used.at",
        [json!(uses).to_string().into()],
    );
    run(database, vec![update]).await?;
    Ok(())
}
