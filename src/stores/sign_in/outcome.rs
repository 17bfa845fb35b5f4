//! What came of an attempt.

use serde::Deserialize;

use crate::{
    domain::{
        attempts::{AttemptRules, RESOLVED_WITHIN},
        audit::Entry,
        id::RowId,
        session::NewSession,
        token::refresh::salt_text,
        user::User,
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{audit, last, run},
};

/// Records a failed attempt, and closes what it counts under if it is the last of too many: those
/// that led to it are used up. Says which of the two entries were written; `locked` is only where there
/// is an account.
pub async fn record_failure<'e>(
    database: &dyn Database,
    attempt: RowId,
    rules: &AttemptRules,
    failed: &'e Entry,
    locked: &'e Entry,
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

/// Records a success: the session, its first refresh token, the account's last sign-in, and that the
/// failures before it count no more. Nothing is recorded, and the answer is `false`, if the account
/// changed since it was read: the attempt is to be recorded as a failure then.
pub async fn record_success(
    database: &dyn Database,
    attempt: RowId,
    user: &User,
    password_hash: &str,
    session: &NewSession,
    amr: &[String],
    entry: &Entry,
) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Recorded {
        recorded: i64,
    }
    let (id, now) = (session.id.to_string(), entry.at.millis());
    let batch = vec![
        Statement::new(
            "INSERT INTO sessions (id, user_id, ip, user_agent, amr, created_at, expires_at)
             SELECT ?1, id, ?3, ?4, ?5, ?6, ?7 FROM users
             WHERE id = ?2 AND is_active = 1 AND token_version = ?8 AND password_hash = ?9
             ON CONFLICT (id) DO NOTHING",
            [
                id.as_str().into(),
                user.id.to_string().into(),
                entry.origin.ip.clone().into(),
                entry.origin.user_agent.clone().into(),
                amr.join(" ").into(),
                now.into(),
                session.expires_at.millis().into(),
                user.token_version.into(),
                password_hash.into(),
            ],
        ),
        Statement::new(
            "INSERT INTO refresh_tokens (session_id, salt, generation, rotated_at, expires_at)
             SELECT ?1, ?2, 1, ?3, ?4 WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?1) ON CONFLICT DO NOTHING",
            [
                id.as_str().into(),
                salt_text(&session.salt).into(),
                now.into(),
                session.refresh_expires_at.millis().into(),
            ],
        ),
        Statement::new(
            "UPDATE users SET last_login_at = ?2 WHERE id = (SELECT user_id FROM sessions WHERE id = ?1)",
            [id.as_str().into(), now.into()],
        ),
        Statement::new(
            "UPDATE sign_in_attempts SET outcome = 'succeeded'
             WHERE id = ?1 AND EXISTS (SELECT 1 FROM sessions WHERE id = ?2)",
            [attempt.to_string().into(), id.as_str().into()],
        ),
        // Of its own slot, what came before it and failed, or belongs to a request that is over.
        Statement::new(
            "DELETE FROM sign_in_attempts
             WHERE (account, slot) = (SELECT account, slot FROM sign_in_attempts WHERE id = ?1)
             AND number < (SELECT number FROM sign_in_attempts WHERE id = ?1)
             AND (outcome = 'failed' OR (outcome = 'pending' AND at <= ?3))
             AND EXISTS (SELECT 1 FROM sessions WHERE id = ?2)",
            [attempt.to_string().into(), id.as_str().into(), entry.at.minus(RESOLVED_WITHIN).millis().into()],
        ),
        audit::write_if_session(entry),
        Statement::new("SELECT COUNT(*) AS recorded FROM sessions WHERE id = ?1", [id.as_str().into()]),
    ];
    let recorded = last(run(database, batch).await?).first::<Recorded>()?;
    Ok(recorded.is_some_and(|row| row.recorded == 1))
}
