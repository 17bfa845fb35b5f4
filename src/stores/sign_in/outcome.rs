//! What came of an attempt.

use serde::Deserialize;

use crate::{
    domain::{
        attempts::{AttemptRules, RESOLVED_WITHIN},
        audit::Entry,
        id::RowId,
        revocation,
        session::{EndReason, Holding, NewSession, cookie::SessionCookie},
        time::{Timestamp, millis},
        token::refresh::salt_text,
        user::User,
    },
    error::ApiError,
    ports::{Database, Statement, Value},
    stores::{
        audit, last,
        outbox::{self, NewLetter},
        revocations, run,
        sessions::is_live,
    },
};

/// Records a failed attempt, and closes what it counts under if it is the last of too many: those
/// that led to it are used up, and its owner is told. Says which of the two entries were written; `locked` is only where there
/// is an account.
pub async fn record_failure<'e>(
    database: &dyn Database,
    attempt: RowId,
    rules: &AttemptRules,
    failed: &'e Entry,
    locked: &'e Entry,
    closed: &NewLetter,
) -> Result<Vec<&'e Entry>, ApiError> {
    let (id, now) = (attempt.to_string(), failed.at);
    let batch = vec![
        Statement::new(
            "UPDATE sign_in_attempts SET outcome = 'failed' WHERE id = ?1 AND outcome = 'pending'",
            [id.as_str().into()],
        ),
        Statement::new(
            "INSERT INTO sign_in_locks (account, slot, until, closed_by)
             SELECT own.account, own.slot, ?2, own.id FROM sign_in_attempts AS own
             WHERE own.id = ?1 AND own.outcome = 'failed' AND (
               SELECT COUNT(*) FROM sign_in_attempts AS other
               WHERE other.account = own.account AND other.slot = own.slot AND other.at > ?3
               AND other.outcome = 'failed') >= ?4
             ON CONFLICT (account, slot) DO UPDATE SET until = excluded.until, closed_by = excluded.closed_by",
            [
                id.as_str().into(),
                now.plus(rules.lockout).millis().into(),
                rules.window_start(now).millis().into(),
                i64::from(rules.max_failures).into(),
            ],
        ),
        audit::write(failed),
        audit::write_if_closed(locked, attempt),
        outbox::write_if_closed(closed, attempt),
        // Last, since by its own row the attempt finds its lock: put twice, the second finds none.
        Statement::new(
            "DELETE FROM sign_in_attempts WHERE outcome = 'failed' AND (account, slot) = (
               SELECT lock.account, lock.slot FROM sign_in_attempts AS own
               JOIN sign_in_locks AS lock ON lock.account = own.account AND lock.slot = own.slot
               WHERE own.id = ?1 AND lock.closed_by = ?1)",
            [id.as_str().into()],
        ),
        audit::read_written(failed),
    ];
    let written = audit::written(last(run(database, batch).await?))?;
    Ok([failed, locked].into_iter().filter(|entry| written.contains(&entry.id.to_string())).collect())
}

/// Resolves an attempt whose password was right, but which came to nothing that is recorded: it counts no more.
pub async fn resolve(database: &dyn Database, attempt: RowId) -> Result<(), ApiError> {
    run(database, vec![resolve_pending(attempt)]).await.map(drop).map_err(ApiError::from)
}

fn resolve_pending(attempt: RowId) -> Statement {
    Statement::new(
        "UPDATE sign_in_attempts SET outcome = 'succeeded' WHERE id = ?1 AND outcome = 'pending'",
        [attempt.to_string().into()],
    )
}

/// Records that the password was right but nobody signed in, for another reason: the attempt counts no more, those before
/// it do.
pub async fn record_refused(database: &dyn Database, attempt: RowId, failed: &Entry) -> Result<(), ApiError> {
    let batch = vec![resolve_pending(attempt), audit::write(failed)];
    run(database, batch).await.map(drop).map_err(ApiError::from)
}

/// The hash that a password was right by.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedHash<'a> {
    /// As it was read.
    pub stored: &'a str,
    /// What is to stand in its place: a hash of the same password, always the same for the same `stored`.
    pub renewed: Option<&'a str>,
}

/// A sign-in that was good, and what is to be recorded of it.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The attempt.
    pub attempt: RowId,
    /// The user as they were read.
    pub user: &'a User,
    /// The hash that the password was right by.
    pub hash: VerifiedHash<'a>,
    /// The session.
    pub session: &'a NewSession,
    /// How they proved who they are.
    pub amr: &'a [String],
    /// What the session is narrowed to, if it is.
    pub scope: Option<&'a str>,
    /// The session that the browser had before: it ends, whosever it was.
    pub replaced: Option<SessionCookie>,
    /// A user has at most so many sessions: of more, those end that were used longest ago.
    pub max_sessions: u32,
    /// Until when what an ended session issued could matter.
    pub revoked_until: Timestamp,
    /// The row that tells of the sign-in.
    pub success: &'a Entry,
    /// The row that tells of sessions that it ended.
    pub ended: &'a Entry,
    /// The mail that tells of a browser that nobody signed in from before, and how many there may be in an hour.
    pub new_device: Option<(&'a NewLetter, u32)>,
}

/// Records a success: the session, its first refresh token if tokens hold it, the account's last sign-in, and that the
/// failures before it count no more. Says what is revoked with the sessions that end by it. Nothing is
/// recorded, and the answer is `None`, if the account changed since it was read: the attempt is to be recorded as a
/// failure then.
pub async fn record_success(
    database: &dyn Database,
    opening: Opening<'_>,
) -> Result<Option<Vec<revocation::Entry>>, ApiError> {
    #[derive(Deserialize)]
    struct Recorded {
        recorded: i64,
    }
    let Opening { attempt, session, success, ended, .. } = opening;
    let (id, now, request) = (session.id.to_string(), success.at, success.origin.request.to_string());
    let mut batch = vec![open(&opening)];
    if session.holding == Holding::Tokens {
        batch.push(first_refresh_token(session, now));
    }
    batch.push(Statement::new(
        "UPDATE users SET last_login_at = ?2 WHERE id = (SELECT user_id FROM sessions WHERE id = ?1)",
        [id.as_str().into(), now.millis().into()],
    ));
    // The password is as it was, so `password_version` is, too.
    batch.extend(opening.hash.renewed.map(|renewed| {
        Statement::new(
            "UPDATE users SET password_hash = ?3
             WHERE id = (SELECT user_id FROM sessions WHERE id = ?1) AND password_hash = ?2",
            [id.as_str().into(), opening.hash.stored.into(), renewed.into()],
        )
    }));
    batch.extend(opening.new_device.map(|(letter, an_hour)| outbox::notify_of_new_device(letter, session.id, an_hour)));
    batch.push(audit::write_if_session(success));
    batch.extend(succeeded(attempt, success));
    batch.extend([
        end_others(&opening, &request),
        audit::write_if_any_changed(ended),
        revocations::record_sessions_ended_by(&request, now, opening.revoked_until),
        revocations::read_sessions_ended_by(&request),
        Statement::new("SELECT COUNT(*) AS recorded FROM sessions WHERE id = ?1", [id.as_str().into()]),
    ]);
    let mut rows = run(database, batch).await?;
    let recorded = rows.pop().unwrap_or_default().first::<Recorded>()?;
    let revoked = revocations::entries(last(rows))?;
    Ok(recorded.is_some_and(|row| row.recorded == 1).then_some(revoked))
}

/// The session, if the account still is what was read.
fn open(opening: &Opening<'_>) -> Statement {
    let (session, user, entry) = (opening.session, opening.user, opening.success);
    let (kind, salt, idle) = match session.holding {
        Holding::Tokens => ("bearer", Value::Null, None),
        Holding::Cookie { .. } => ("cookie", salt_text(&session.salt).into(), Some(session)),
    };
    Statement::new(
        "INSERT INTO sessions (id, user_id, ip, user_agent, amr, created_at, expires_at, kind, salt, scope,
           idle_ms, idle_until)
         SELECT ?1, id, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 FROM users
         WHERE id = ?2 AND is_active = 1 AND token_version = ?13 AND password_hash IN (?14, ?15)
         ON CONFLICT (id) DO NOTHING",
        [
            session.id.to_string().into(),
            user.id.to_string().into(),
            entry.origin.ip.clone().into(),
            entry.origin.user_agent.clone().into(),
            opening.amr.join(" ").into(),
            entry.at.millis().into(),
            session.expires_at.millis().into(),
            kind.into(),
            salt,
            opening.scope.into(),
            idle.map(|session| millis(session.idle)).into(),
            idle.map(|session| session.idle_until.millis()).into(),
            user.token_version.into(),
            opening.hash.stored.into(),
            // Another sign-in of theirs may have put it there since.
            opening.hash.renewed.unwrap_or(opening.hash.stored).into(),
        ],
    )
}

fn first_refresh_token(session: &NewSession, now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO refresh_tokens (session_id, salt, generation, rotated_at, expires_at)
         SELECT ?1, ?2, 1, ?3, ?4 WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?1) ON CONFLICT DO NOTHING",
        [
            session.id.to_string().into(),
            salt_text(&session.salt).into(),
            now.millis().into(),
            session.idle_until.millis().into(),
        ],
    )
}

/// Ends the session that the new one replaces, and those that are one too many, if the new one is there.
fn end_others(opening: &Opening<'_>, request: &str) -> Statement {
    Statement::new(
        concat!(
            "UPDATE sessions SET ended_at = ?2, end_reason = CASE id WHEN ?7 THEN ?9 ELSE ?4 END, ended_by = ?5
             WHERE ended_at IS NULL AND EXISTS (SELECT 1 FROM sessions WHERE id = ?3) AND id IN (
               SELECT id FROM sessions WHERE id = ?7 AND salt = ?8
               UNION ALL
               SELECT id FROM (SELECT s.id FROM sessions s WHERE s.user_id = ?1 AND s.id <> ?3 AND s.id IS NOT ?7 AND ",
            is_live!(),
            " ORDER BY COALESCE((SELECT rotated_at FROM refresh_tokens WHERE session_id = s.id),
                 s.last_seen_at, s.created_at) DESC, s.id DESC LIMIT -1 OFFSET ?6 - 1))"
        ),
        [
            opening.user.id.to_string().into(),
            opening.success.at.millis().into(),
            opening.session.id.to_string().into(),
            EndReason::TooMany.as_str().into(),
            request.into(),
            opening.max_sessions.into(),
            opening.replaced.map(|cookie| cookie.session.to_string()).into(),
            opening.replaced.map(|cookie| cookie.salt_text()).into(),
            EndReason::Renewed.as_str().into(),
        ],
    )
}

/// Resolves an attempt as good, if the row is there that tells what came of it: what failed before it counts no more.
#[must_use]
pub fn succeeded(attempt: RowId, entry: &Entry) -> [Statement; 2] {
    [
        Statement::new(
            "UPDATE sign_in_attempts SET outcome = 'succeeded'
             WHERE id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [attempt.to_string().into(), entry.id.to_string().into()],
        ),
        // Of its own slot, what came before it and failed, or belongs to a request that is over.
        Statement::new(
            "DELETE FROM sign_in_attempts
             WHERE (account, slot) = (SELECT account, slot FROM sign_in_attempts WHERE id = ?1)
             AND number < (SELECT number FROM sign_in_attempts WHERE id = ?1)
             AND (outcome = 'failed' OR (outcome = 'pending' AND at <= ?3))
             AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [attempt.to_string().into(), entry.id.to_string().into(), entry.at.minus(RESOLVED_WITHIN).millis().into()],
        ),
    ]
}
