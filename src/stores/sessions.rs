//! Sessions: ending them, and whether one still stands.

use serde::Deserialize;

use super::{audit, last, revocations, run};
use crate::{
    domain::{
        audit::Entry,
        id::{SessionId, TokenId, UserId},
        revocation::{self, Revoked},
        session::EndReason,
        time::Timestamp,
        token::{refresh::RefreshToken, verify::VerifiedClaims},
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
};

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

/// What came of ending a session, or all of a user's.
#[derive(Debug, PartialEq, Eq)]
pub enum Ended {
    /// By this request.
    Now {
        /// Whose it was.
        user: UserId,
        /// What is revoked by that.
        revoked: Vec<revocation::Entry>,
    },
    /// It was over before.
    Before {
        /// What was revoked by that.
        revoked: Vec<revocation::Entry>,
    },
    /// The holder holds nothing of it.
    NotTheirs,
}

#[derive(Deserialize)]
struct EndedRow {
    user_id: UserId,
    end_reason: Option<String>,
    ended_by: Option<String>,
}

/// Reads whether, whose, why and by which request a session was ended, if the salt is its own.
fn read_ended(session: &Value, salt: Value) -> Statement {
    Statement::new(
        "SELECT user_id, end_reason, ended_by FROM sessions WHERE id = ?1 AND ended_at IS NOT NULL
         AND (?2 IS NULL OR ?2 = (SELECT salt FROM refresh_tokens WHERE session_id = ?1))",
        [session.clone(), salt],
    )
}

impl Holder<'_> {
    /// A refresh token's salt must be the session's own; an access token was signed.
    fn salt(&self) -> Value {
        match self {
            Self::Access(_) => Value::Null,
            Self::Refresh(token) => token.salt_text().into(),
        }
    }
}

impl EndedRow {
    fn by(&self, request: &str) -> bool {
        self.ended_by.as_deref() == Some(request)
    }
}

/// What the last two statements of a batch read: what is revoked, and how the session ended.
fn ended(mut rows: Vec<Rows>) -> Result<(Option<EndedRow>, Vec<revocation::Entry>), ApiError> {
    let row = rows.pop().unwrap_or_default().first()?;
    Ok((row, revocations::entries(last(rows))?))
}

/// Ends a session at its owner's wish; what it issued could matter until `until`.
pub async fn end(
    database: &dyn Database,
    holder: Holder<'_>,
    until: Timestamp,
    entry: &Entry,
) -> Result<Ended, ApiError> {
    let (now, request, session) = (entry.at, entry.origin.request.to_string(), holder.session());
    let id: Value = session.to_string().into();
    let mut batch = vec![
        Statement::new(
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4
             WHERE id = ?1 AND ended_at IS NULL
             AND (?5 IS NULL OR ?5 = (SELECT salt FROM refresh_tokens WHERE session_id = ?1))",
            [
                id.clone(),
                now.millis().into(),
                EndReason::Logout.as_str().into(),
                request.as_str().into(),
                holder.salt(),
            ],
        ),
        audit::write_if_changed(entry),
        revocations::record_if_changed(&Revoked::Session(session), session, now, until),
    ];
    let token = holder.token();
    batch.extend(token.map(|id| revocations::record_if_changed(&Revoked::Token(id), session, now, until)));
    batch.extend([revocations::read_of_session(session, token), read_ended(&id, holder.salt())]);
    let (row, revoked) = ended(run(database, batch).await?)?;
    Ok(match (row, holder) {
        (Some(row), _) if row.by(&request) => Ended::Now { user: row.user_id, revoked },
        // A session that is gone altogether is over too, to whom we signed a token for it.
        (Some(_), _) | (None, Holder::Access(_)) => Ended::Before { revoked },
        (None, Holder::Refresh(_)) => Ended::NotTheirs,
    })
}

/// Ends every session of the user whose session is held, and every token that was issued to them: what is held must
/// stand. (1) The row in the log, if it does. (2) What it tells of, once. (3) What came of it.
pub async fn end_all(
    database: &dyn Database,
    holder: Holder<'_>,
    until: Timestamp,
    entry: &Entry,
) -> Result<Ended, ApiError> {
    let (now, request, session) = (entry.at, entry.origin.request.to_string(), holder.session());
    let id: Value = session.to_string().into();
    let batch = vec![
        // (1)
        audit::write_if_session_stands(entry, holder.salt()),
        // (2)
        Statement::new(
            "UPDATE users SET token_version = token_version + 1, updated_at = ?2
             WHERE id = (SELECT user_id FROM sessions WHERE id = ?1) AND changes() = 1",
            [id.clone(), now.millis().into()],
        ),
        revocations::record_version_if_changed(session, now, until),
        Statement::new(
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4
             WHERE ended_at IS NULL AND user_id = (SELECT user_id FROM sessions WHERE id = ?1) AND changes() = 1",
            [id.clone(), now.millis().into(), EndReason::LogoutAll.as_str().into(), request.as_str().into()],
        ),
        // (3)
        revocations::read_of_user(session, now),
        read_ended(&id, holder.salt()),
    ];
    let (row, revoked) = ended(run(database, batch).await?)?;
    Ok(match row {
        Some(row) if row.by(&request) => Ended::Now { user: row.user_id, revoked },
        Some(row) if row.end_reason.as_deref() == Some(EndReason::LogoutAll.as_str()) => Ended::Before { revoked },
        // Whoever holds a session that ended otherwise cannot end others by it.
        _ => Ended::NotTheirs,
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
