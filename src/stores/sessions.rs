//! Sessions: ending them, and whether one still stands.

use serde::Deserialize;

use super::{audit, last, run};
use crate::{
    domain::{
        audit::Entry,
        id::{SessionId, TokenId, UserId},
        session::EndReason,
        time::Timestamp,
        token::{refresh::RefreshToken, verify::VerifiedClaims},
    },
    error::ApiError,
    ports::{Database, Statement, Value},
};

/// Records a session's revocation if the statement before changed one row.
pub(super) fn revoke_session_if_changed(session: SessionId, now: Timestamp, until: Timestamp) -> Statement {
    revoke_if_changed("session", session.to_string(), now, until)
}

fn revoke_if_changed(kind: &'static str, value: String, now: Timestamp, until: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO revocations (kind, value, created_at, until)
         SELECT ?1, ?2, ?3, ?4 WHERE changes() = 1 ON CONFLICT (kind, value) DO NOTHING",
        [kind.into(), value.into(), now.millis().into(), until.millis().into()],
    )
}

/// Who asks for a session's end.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// The bearer of an access token.
    Access(&'a VerifiedClaims),
    /// The holder of a refresh token.
    Refresh(&'a RefreshToken),
}

impl Holder<'_> {
    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::Access(claims) => claims.session(),
            Self::Refresh(token) => token.session,
        }
    }

    /// The access token, if that is what is held.
    #[must_use]
    pub const fn token(&self) -> Option<TokenId> {
        match self {
            Self::Access(claims) => Some(claims.token()),
            Self::Refresh(_) => None,
        }
    }
}

/// What came of ending a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By this request; it was this user's.
    Now(UserId),
    /// It was over before.
    Before,
    /// The holder holds nothing of it.
    NotTheirs,
}

/// Ends a session at its owner's wish; what it issued could matter until `until`.
pub async fn end(
    database: &dyn Database,
    holder: Holder<'_>,
    until: Timestamp,
    entry: &Entry,
) -> Result<Ended, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        user_id: UserId,
        ended_by: Option<String>,
    }
    let (now, request) = (entry.at, entry.origin.request.to_string());
    // A refresh token's salt must be the session's own; an access token was signed.
    let salt: Value = match holder {
        Holder::Access(_) => Value::Null,
        Holder::Refresh(token) => token.salt_text().into(),
    };
    let id: Value = holder.session().to_string().into();
    let mut batch = vec![
        Statement::new(
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4
             WHERE id = ?1 AND ended_at IS NULL
             AND (?5 IS NULL OR ?5 = (SELECT salt FROM refresh_tokens WHERE session_id = ?1))",
            [id.clone(), now.millis().into(), EndReason::Logout.as_str().into(), request.as_str().into(), salt.clone()],
        ),
        audit::write_if_changed(entry),
        revoke_session_if_changed(holder.session(), now, until),
    ];
    batch.extend(holder.token().map(|token| revoke_if_changed("token", token.to_string(), now, until)));
    batch.push(Statement::new(
        "SELECT user_id, ended_by FROM sessions WHERE id = ?1 AND ended_at IS NOT NULL
         AND (?2 IS NULL OR ?2 = (SELECT salt FROM refresh_tokens WHERE session_id = ?1))",
        [id, salt],
    ));
    let row = last(run(database, batch).await?).first::<Row>()?;
    Ok(match (row, holder) {
        (Some(row), _) if row.ended_by.as_deref() == Some(request.as_str()) => Ended::Now(row.user_id),
        // A session that is gone altogether is over too, to whom we signed a token for it.
        (Some(_), _) | (None, Holder::Access(_)) => Ended::Before,
        (None, Holder::Refresh(_)) => Ended::NotTheirs,
    })
}

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
