//! What a person changes about their own account. Each change is one batch, with its row in the log and with what it
//! revokes; the row's being there is how the rest of the batch knows that the change was made, once.

use serde::Deserialize;

use super::{UserRow, user_columns};
use crate::{
    domain::{
        audit::Entry,
        id::{RowId, SessionId},
        revocation,
        session::{EndReason, NewSession},
        time::Timestamp,
        token::refresh::salt_text,
        user::{Email, FullName, User},
    },
    error::ApiError,
    ports::{Database, Rows, Statement},
    stores::{audit, last, revocations, run, sessions::EndedBy, sign_in},
};

/// Who changes something, and how they confirmed it.
#[derive(Clone, Copy, Debug)]
pub struct Confirmation<'a> {
    /// The hash that the password was held against.
    pub password_hash: &'a str,
    /// The attempt that it was given in.
    pub attempt: RowId,
}

/// A new password, and what becomes of sessions with it.
#[derive(Debug)]
pub struct PasswordChange<'a> {
    /// Whose.
    pub user: &'a User,
    /// How they confirmed it.
    pub confirmed: Confirmation<'a>,
    /// The hash of the new one.
    pub new_hash: &'a str,
    /// The session that it is changed from.
    pub session: SessionId,
    /// The one that takes its place, if a cookie holds it: an identifier from before is worth nothing after.
    pub renewed: Option<&'a NewSession>,
    /// Until when what the ended sessions issued could matter.
    pub revoked_until: Timestamp,
    /// The row in the log.
    pub entry: &'a Entry,
}

/// Changes a password and ends every other session. Says what is revoked by that; `None` if the account, its password
/// or the session changed under way.
pub async fn change_password(
    database: &dyn Database,
    change: PasswordChange<'_>,
) -> Result<Option<Vec<revocation::Entry>>, ApiError> {
    let PasswordChange { user, confirmed, session, entry, .. } = change;
    let mut batch = vec![
        Statement::new(
            "UPDATE users SET password_hash = ?3, password_version = password_version + 1, updated_at = ?4
             WHERE id = ?1 AND password_hash = ?2 AND is_active = 1
             AND EXISTS (SELECT 1 FROM sessions WHERE id = ?5 AND user_id = ?1 AND ended_at IS NULL)",
            [
                user.id.to_string().into(),
                confirmed.password_hash.into(),
                change.new_hash.into(),
                entry.at.millis().into(),
                session.to_string().into(),
            ],
        ),
        audit::write_if_changed(entry),
    ];
    batch.extend(change.renewed.map(|renewed| renew(session, renewed, entry)));
    let ended = EndedBy {
        user: user.id,
        keep: Some(change.renewed.map_or(session, |renewed| renewed.id)),
        reason: EndReason::PasswordChange,
        until: change.revoked_until,
        entry,
    };
    batch.extend(ended.statements());
    batch.extend(sign_in::succeeded(confirmed.attempt, entry));
    batch.push(revocations::read_sessions_ended_by(&entry.origin.request.to_string()));
    batch.push(audit::read_written(entry));
    let mut rows = run(database, batch).await?;
    let was_made = was_written(entry, rows.pop())?;
    let revoked = revocations::entries(last(rows))?;
    Ok(was_made.then_some(revoked))
}

/// The same session under another id and salt, if the change was made: it does not live longer for that.
fn renew(session: SessionId, renewed: &NewSession, entry: &Entry) -> Statement {
    Statement::new(
        "INSERT INTO sessions (id, user_id, ip, user_agent, amr, created_at, expires_at, kind, salt, scope,
           last_seen_at, idle_ms, idle_until)
         SELECT ?2, user_id, ip, user_agent, amr, created_at, expires_at, kind, ?3, scope,
           ?4, idle_ms, MIN(expires_at, ?4 + idle_ms)
         FROM sessions WHERE id = ?1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?5)
         ON CONFLICT (id) DO NOTHING",
        [
            session.to_string().into(),
            renewed.id.to_string().into(),
            salt_text(&renewed.salt).into(),
            entry.at.millis().into(),
            entry.id.to_string().into(),
        ],
    )
}

/// What somebody changes of their profile.
#[derive(Debug)]
pub struct ProfileChange<'a> {
    /// The user as they were read.
    pub user: &'a User,
    /// Their session.
    pub session: SessionId,
    /// The name, if it is changed.
    pub full_name: Option<&'a FullName>,
    /// When.
    pub at: Timestamp,
    /// The address, if it is changed.
    pub email: Option<EmailChange<'a>>,
}

/// A new address: tokens that say another end with it.
#[derive(Debug)]
pub struct EmailChange<'a> {
    /// The address.
    pub email: &'a Email,
    /// How it was confirmed.
    pub confirmed: Confirmation<'a>,
    /// Until when what was issued could matter.
    pub revoked_until: Timestamp,
    /// The row in the log.
    pub entry: &'a Entry,
}

/// What came of it.
#[derive(Debug)]
pub enum Changed {
    /// It is so now; what is revoked by that.
    User(User, Vec<revocation::Entry>),
    /// Another has the address.
    EmailTaken,
    /// The account, its password or the session changed under way.
    Overtaken,
}

/// Changes a profile. A changed address is not proven any more. Uniqueness is the index's business.
pub async fn change_profile(database: &dyn Database, change: ProfileChange<'_>) -> Result<Changed, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        email_key: String,
        #[serde(flatten)]
        user: UserRow,
    }
    let (id, session) = (change.user.id.to_string(), change.session);
    let mut batch = Vec::new();
    if let Some(EmailChange { email, confirmed, revoked_until, entry }) = &change.email {
        batch.push(Statement::new(
            "UPDATE OR IGNORE users SET email = ?3, email_key = ?4, email_verified = 0,
               token_version = token_version + 1, updated_at = ?5
             WHERE id = ?1 AND password_hash = ?2 AND is_active = 1
             AND EXISTS (SELECT 1 FROM sessions WHERE id = ?6 AND user_id = ?1 AND ended_at IS NULL)
             AND NOT EXISTS (SELECT 1 FROM audit_events WHERE id = ?7)",
            [
                id.as_str().into(),
                confirmed.password_hash.into(),
                email.as_str().into(),
                email.key().into(),
                entry.at.millis().into(),
                session.to_string().into(),
                entry.id.to_string().into(),
            ],
        ));
        batch.push(audit::write_if_changed(entry));
        batch.push(revocations::record_version_if_changed(session, entry.at, *revoked_until));
        batch.extend(sign_in::succeeded(confirmed.attempt, entry));
    }
    let entry_id = change.email.as_ref().map(|email| email.entry.id.to_string());
    if let Some(full_name) = change.full_name {
        batch.push(Statement::new(
            "UPDATE users SET full_name = ?2, updated_at = ?3 WHERE id = ?1 AND is_active = 1
             AND (?4 IS NULL OR EXISTS (SELECT 1 FROM audit_events WHERE id = ?4))",
            [id.as_str().into(), full_name.as_str().into(), change.at.millis().into(), entry_id.clone().into()],
        ));
    }
    let key = change.email.as_ref().map(|change| change.email.key());
    batch.extend([
        revocations::read_of_user(session, change.at),
        Statement::new("SELECT id FROM audit_events WHERE id = ?1", [entry_id.clone().into()]),
        Statement::new(
            concat!("SELECT ", user_columns!(), ", u.email_key FROM users u WHERE u.id = ?1 OR u.email_key = ?2"),
            [id.as_str().into(), key.clone().into()],
        ),
    ]);
    let mut rows = run(database, batch).await?;
    let found = rows.pop().unwrap_or_default().all::<Found>()?;
    let was_made = entry_id.is_none() || !rows.pop().unwrap_or_default().0.is_empty();
    let revoked = if entry_id.is_some() { revocations::entries(last(rows))? } else { Vec::new() };
    if !was_made {
        let is_taken =
            found.iter().any(|other| other.user.id != change.user.id && Some(&other.email_key) == key.as_ref());
        return Ok(if is_taken { Changed::EmailTaken } else { Changed::Overtaken });
    }
    match found.into_iter().find(|one| one.user.id == change.user.id) {
        Some(own) => Ok(Changed::User(own.user.try_into()?, revoked)),
        None => Ok(Changed::Overtaken),
    }
}

/// Closes an account and ends all of its sessions. Says what is revoked by that; `None` if the account, its password or
/// the session changed under way.
pub async fn deactivate(
    database: &dyn Database,
    user: &User,
    session: SessionId,
    confirmed: Confirmation<'_>,
    revoked_until: Timestamp,
    entry: &Entry,
) -> Result<Option<Vec<revocation::Entry>>, ApiError> {
    let mut batch = vec![
        Statement::new(
            "UPDATE users SET is_active = 0, token_version = token_version + 1, updated_at = ?3
             WHERE id = ?1 AND password_hash = ?2 AND is_active = 1
             AND EXISTS (SELECT 1 FROM sessions WHERE id = ?4 AND user_id = ?1 AND ended_at IS NULL)",
            [
                user.id.to_string().into(),
                confirmed.password_hash.into(),
                entry.at.millis().into(),
                session.to_string().into(),
            ],
        ),
        audit::write_if_changed(entry),
        revocations::record_version_if_changed(session, entry.at, revoked_until),
    ];
    let ended = EndedBy { user: user.id, keep: None, reason: EndReason::Deactivated, until: revoked_until, entry };
    batch.push(ended.end());
    batch.extend(sign_in::succeeded(confirmed.attempt, entry));
    batch.push(revocations::read_of_user(session, entry.at));
    batch.push(audit::read_written(entry));
    let mut rows = run(database, batch).await?;
    let was_made = was_written(entry, rows.pop())?;
    let revoked = revocations::entries(last(rows))?;
    Ok(was_made.then_some(revoked))
}

/// Whether the row in the log is there.
fn was_written(entry: &Entry, rows: Option<Rows>) -> Result<bool, ApiError> {
    Ok(audit::written(rows.unwrap_or_default())?.contains(&entry.id.to_string()))
}
