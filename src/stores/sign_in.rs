//! Signing in: two batches around the hash. The first reserves the attempt and reads the account,
//! the second records what came of it. Both do the same work whether the account exists or not.

use serde::Deserialize;

use super::{audit, keys, last, run, users};
use crate::{
    domain::{
        audit::{Entry, Origin},
        id::RowId,
        session::NewSession,
        time::Timestamp,
        token::refresh::salt_text,
        user::{Identifier, User},
    },
    error::ApiError,
    ports::{Database, Statement},
};

/// A try to sign in.
#[derive(Debug)]
pub struct Attempt<'a> {
    /// Its id.
    pub id: RowId,
    /// What was typed.
    pub identifier: &'a Identifier,
    /// What stands for the account where there is none: a MAC of the identifier.
    pub unknown_account: String,
    /// When.
    pub at: Timestamp,
    /// From where.
    pub origin: &'a Origin,
}

/// What a reserved attempt has before it.
#[derive(Debug)]
pub struct Reserved {
    /// The account with its password hash, if there is one.
    pub account: Option<(User, String)>,
    /// The version of the signing keys.
    pub keys_version: i64,
}

/// Reserves an attempt, and reads what it is about.
pub async fn reserve(database: &dyn Database, attempt: &Attempt<'_>) -> Result<Reserved, ApiError> {
    let identifier = attempt.identifier.as_str();
    let batch = vec![
        Statement::new(
            "INSERT INTO sign_in_attempts (id, account, ip, at, outcome)
             SELECT ?1, COALESCE((SELECT id FROM users WHERE username = ?2 OR email_key = ?2), ?3), ?4, ?5, 'pending'
             WHERE true ON CONFLICT (id) DO NOTHING",
            [
                attempt.id.to_string().into(),
                identifier.into(),
                attempt.unknown_account.as_str().into(),
                attempt.origin.ip.clone().into(),
                attempt.at.millis().into(),
            ],
        ),
        users::select_for_sign_in(identifier),
        keys::read_version(),
    ];
    let mut rows = run(database, batch).await?;
    let keys_version = keys::version(rows.pop().unwrap_or_default())?;
    Ok(Reserved { account: users::for_sign_in(last(rows))?, keys_version })
}

/// Records a failed attempt.
pub async fn record_failure(database: &dyn Database, attempt: RowId, entry: &Entry) -> Result<(), ApiError> {
    let resolve =
        Statement::new("UPDATE sign_in_attempts SET outcome = 'failed' WHERE id = ?1", [attempt.to_string().into()]);
    run(database, vec![resolve, audit::write(entry)]).await?;
    Ok(())
}

/// Records a success: the session, its first refresh token, the account's last sign-in. Nothing is
/// recorded, and the answer is `false`, if the account changed since it was read.
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
            "UPDATE sign_in_attempts
             SET outcome = CASE WHEN EXISTS (SELECT 1 FROM sessions WHERE id = ?2) THEN 'succeeded' ELSE 'failed' END
             WHERE id = ?1",
            [attempt.to_string().into(), id.as_str().into()],
        ),
        audit::write_if_session(entry),
        Statement::new("SELECT COUNT(*) AS recorded FROM sessions WHERE id = ?1", [id.as_str().into()]),
    ];
    let recorded = last(run(database, batch).await?).first::<Recorded>()?;
    Ok(recorded.is_some_and(|row| row.recorded == 1))
}
