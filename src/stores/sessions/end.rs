//! Ending sessions: one, some or all of a user's. Each is recorded as revoked in the same batch.

use serde::Deserialize;

use crate::{
    domain::{
        audit::Entry,
        id::{SessionId, TokenId, UserId},
        revocation::{self, Revoked},
        session::{EndReason, cookie::SessionCookie},
        time::Timestamp,
        token::{refresh::RefreshToken, verify::VerifiedClaims},
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::{audit, last, revocations, run},
};

/// Who asks for a session's end.
#[derive(Clone, Copy, Debug)]
pub enum Holder<'a> {
    /// The bearer of an access token.
    Access(&'a VerifiedClaims),
    /// The holder of a refresh token.
    Refresh(&'a RefreshToken),
    /// The holder of a session cookie.
    Cookie(SessionCookie),
}

impl Holder<'_> {
    /// The session.
    #[must_use]
    pub const fn session(&self) -> SessionId {
        match self {
            Self::Access(claims) => claims.session(),
            Self::Refresh(token) => token.session,
            Self::Cookie(cookie) => cookie.session,
        }
    }

    /// The access token, if that is what is held.
    #[must_use]
    pub const fn token(&self) -> Option<TokenId> {
        match self {
            Self::Access(claims) => Some(claims.token()),
            Self::Refresh(_) | Self::Cookie(_) => None,
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
    /// The session was narrowed to less than ending others takes.
    Narrowed,
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
         AND (?2 IS NULL OR ?2 = COALESCE(salt, (SELECT salt FROM refresh_tokens WHERE session_id = ?1)))",
        [session.clone(), salt],
    )
}

impl Holder<'_> {
    fn generation(&self) -> Value {
        match self {
            Self::Refresh(token) => token.generation.into(),
            Self::Access(_) | Self::Cookie(_) => Value::Null,
        }
    }

    /// The salt of a refresh token or a cookie must be the session's own; an access token was signed.
    fn salt(&self) -> Value {
        match self {
            Self::Access(_) => Value::Null,
            Self::Refresh(token) => token.salt_text().into(),
            Self::Cookie(cookie) => cookie.salt_text().into(),
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
             AND (?5 IS NULL OR ?5 = COALESCE(salt, (SELECT salt FROM refresh_tokens WHERE session_id = ?1)))",
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
        (None, Holder::Refresh(_) | Holder::Cookie(_)) => Ended::NotTheirs,
    })
}

/// Ends every session of the user whose session is held, and every token that was issued to them: what is held must
/// stand, and not be narrowed to less than that takes. (1) The row in the log, if it does. (2) What it tells of, once. (3) What came of it.
pub async fn end_all(
    database: &dyn Database,
    holder: Holder<'_>,
    until: Timestamp,
    entry: &Entry,
) -> Result<Ended, ApiError> {
    #[derive(Deserialize)]
    struct Narrowed {
        narrowed: i64,
    }
    let (now, request, session) = (entry.at, entry.origin.request.to_string(), holder.session());
    let id: Value = session.to_string().into();
    let batch = vec![
        // (1)
        audit::write_if_session_stands(entry, holder.salt(), holder.generation()),
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
        Statement::new(
            "SELECT COUNT(*) AS narrowed FROM sessions WHERE id = ?1 AND ended_at IS NULL
             AND instr(' ' || scope || ' ', ' profile:write ') = 0
             AND (?2 IS NULL OR ?2 = COALESCE(salt, (SELECT salt FROM refresh_tokens WHERE session_id = ?1)))
             AND (?3 IS NULL OR EXISTS (
               SELECT 1 FROM refresh_tokens WHERE session_id = ?1 AND generation - ?3 IN (0, 1)))",
            [id, holder.salt(), holder.generation()],
        ),
    ];
    let mut rows = run(database, batch).await?;
    let is_narrowed = rows.pop().unwrap_or_default().first::<Narrowed>()?.is_some_and(|row| row.narrowed == 1);
    let (row, revoked) = ended(rows)?;
    Ok(match row {
        None if is_narrowed => Ended::Narrowed,
        Some(row) if row.by(&request) => Ended::Now { user: row.user_id, revoked },
        Some(row) if row.end_reason.as_deref() == Some(EndReason::LogoutAll.as_str()) => Ended::Before { revoked },
        // Whoever holds a session that ended otherwise cannot end others by it.
        _ => Ended::NotTheirs,
    })
}

/// Ends one session of a user, from another.
pub async fn end_one(
    database: &dyn Database,
    user: UserId,
    session: SessionId,
    until: Timestamp,
    entry: &Entry,
) -> Result<Ended, ApiError> {
    let (now, request, id) = (entry.at, entry.origin.request.to_string(), session.to_string());
    let batch = vec![
        Statement::new(
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4
             WHERE id = ?1 AND user_id = ?5 AND ended_at IS NULL",
            [
                id.as_str().into(),
                now.millis().into(),
                EndReason::Ended.as_str().into(),
                request.as_str().into(),
                user.to_string().into(),
            ],
        ),
        audit::write_if_changed(entry),
        revocations::record_if_changed(&Revoked::Session(session), session, now, until),
        revocations::read_of_session(session, None),
        Statement::new(
            "SELECT user_id, end_reason, ended_by FROM sessions
             WHERE id = ?1 AND user_id = ?2 AND ended_at IS NOT NULL",
            [id.as_str().into(), user.to_string().into()],
        ),
    ];
    let (row, revoked) = ended(run(database, batch).await?)?;
    Ok(match row {
        Some(row) if row.by(&request) => Ended::Now { user, revoked },
        Some(_) => Ended::Before { revoked },
        None => Ended::NotTheirs,
    })
}

/// Which of a user's sessions are ended, and how that is told.
#[derive(Clone, Copy, Debug)]
pub struct EndedBy<'a> {
    /// Whose.
    pub user: UserId,
    /// All but this one.
    pub keep: Option<SessionId>,
    /// Why.
    pub reason: EndReason,
    /// Until when what they issued could matter.
    pub until: Timestamp,
    /// The row in the log that tells of it: without it, nothing is ended.
    pub entry: &'a Entry,
}

impl EndedBy<'_> {
    /// Ends them.
    pub(in crate::stores) fn end(&self) -> Statement {
        Statement::new(
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4
             WHERE user_id = ?1 AND ended_at IS NULL AND id IS NOT ?5
             AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?6)",
            [
                self.user.to_string().into(),
                self.entry.at.millis().into(),
                self.reason.as_str().into(),
                self.entry.origin.request.to_string().into(),
                self.keep.map(|id| id.to_string()).into(),
                self.entry.id.to_string().into(),
            ],
        )
    }

    /// Reads what came of it, at the end of a batch.
    pub(in crate::stores) fn read(&self) -> [Statement; 2] {
        let request = self.entry.origin.request.to_string();
        [revocations::read_sessions_of(self.user, self.entry.at), revocations::read_sessions_ended_by(&request)]
    }

    /// Ends them, and records each.
    pub(in crate::stores) fn statements(&self) -> [Statement; 2] {
        let request = self.entry.origin.request.to_string();
        [self.end(), revocations::record_sessions_ended_by(&request, self.entry.at, self.until)]
    }
}

/// What is revoked of a user's sessions.
#[derive(Debug, PartialEq, Eq)]
pub struct EndedSessions {
    /// By this request.
    pub now: Vec<revocation::Entry>,
    /// By this request and before, as far as it still matters: perhaps not everyone was told.
    pub lately: Vec<revocation::Entry>,
}

impl EndedSessions {
    /// What the last two statements of a batch read, which [`EndedBy::read`] are.
    pub(in crate::stores) fn of(mut rows: Vec<Rows>) -> Result<Self, ApiError> {
        let now = revocations::entries(rows.pop().unwrap_or_default())?;
        Ok(Self { now, lately: revocations::entries(last(rows))? })
    }
}

/// Ends every session of a user but one.
pub async fn end_others(database: &dyn Database, what: EndedBy<'_>) -> Result<EndedSessions, ApiError> {
    let [end, record] = what.statements();
    let [lately, now] = what.read();
    EndedSessions::of(run(database, vec![audit::write(what.entry), end, record, lately, now]).await?)
}
