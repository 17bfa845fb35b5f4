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
        user::{Email, FullName, User},
    },
    error::ApiError,
    ports::{Database, Rows, Statement},
    stores::{
        audit, last,
        outbox::{self, HOUR, NewLetter},
        revocations, run,
        sessions::{EndedBy, EndedSessions, renew},
        sign_in,
    },
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
    /// The mail that tells of it, and how many there may be in an hour.
    pub told: (&'a NewLetter, u32),
}

/// Changes a password and ends every other session. Says what is revoked by that; `None` if the account, its password
/// or the session changed under way.
pub async fn change_password(
    database: &dyn Database,
    change: PasswordChange<'_>,
) -> Result<Option<EndedSessions>, ApiError> {
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
        outbox::notify_if_changed(change.told.0, user.id, change.told.1),
    ];
    batch.extend(change.renewed.map(|renewed| renew(session, renewed, None, entry)));
    let ended = EndedBy {
        user: user.id,
        keep: Some(change.renewed.map_or(session, |renewed| renewed.id)),
        reason: EndReason::PasswordChange,
        until: change.revoked_until,
        entry,
    };
    batch.extend(ended.statements());
    batch.extend(sign_in::succeeded(confirmed.attempt, entry));
    batch.extend(ended.read());
    batch.push(audit::read_written(entry));
    let mut rows = run(database, batch).await?;
    let was_made = was_written(entry, rows.pop())?;
    let ended = EndedSessions::of(rows)?;
    Ok(was_made.then_some(ended))
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
    /// The mail by which it is proven.
    pub proof: &'a NewLetter,
    /// There may be so many of those in an hour: nobody is to have mails sent to whom they like.
    pub an_hour: u32,
    /// The mail that tells of it, to the address that was the account's if it was proven.
    pub told: Option<(&'a NewLetter, &'a Email)>,
}

/// What came of it.
#[derive(Debug)]
pub enum Changed {
    /// It is so now; what is revoked by that.
    User(User, Vec<revocation::Entry>),
    /// Another has the address.
    EmailTaken,
    /// There were too many mails of that kind lately.
    TooManyMails,
    /// The account, its password or the session changed under way.
    Overtaken,
}

/// Changes a profile. A changed address is not proven any more. Uniqueness is the index's business.
pub async fn change_profile(database: &dyn Database, change: ProfileChange<'_>) -> Result<Changed, ApiError> {
    #[derive(Deserialize)]
    struct Made {
        was_made: i64,
        mails: i64,
    }
    let (id, session) = (change.user.id.to_string(), change.session);
    let mut batch = Vec::new();
    if let Some(EmailChange { email, confirmed, revoked_until, entry, proof, an_hour, told }) = &change.email {
        batch.push(Statement::new(
            "UPDATE OR IGNORE users SET email = ?3, email_key = ?4, email_verified = 0,
               token_version = token_version + 1, updated_at = ?5
             WHERE id = ?1 AND password_hash = ?2 AND is_active = 1
             AND EXISTS (SELECT 1 FROM sessions WHERE id = ?6 AND user_id = ?1 AND ended_at IS NULL)
             AND NOT EXISTS (SELECT 1 FROM audit_events WHERE id = ?7)
             AND (SELECT COUNT(*) FROM mail_outbox
                  WHERE account = ?1 AND kind = 'verify_email' AND state <> 'nobody' AND created_at > ?8) < ?9",
            [
                id.as_str().into(),
                confirmed.password_hash.into(),
                email.as_str().into(),
                email.key().into(),
                entry.at.millis().into(),
                session.to_string().into(),
                entry.id.to_string().into(),
                entry.at.minus(HOUR).millis().into(),
                (*an_hour).into(),
            ],
        ));
        batch.push(audit::write_if_changed(entry));
        batch.push(revocations::record_version_if_changed(session, entry.at, *revoked_until));
        batch.push(outbox::write_if_changed(proof, change.user.id));
        batch.extend(told.map(|(letter, address)| outbox::write_to_if_changed(letter, change.user.id, address)));
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
        Statement::new(
            "SELECT EXISTS (SELECT 1 FROM audit_events WHERE id = ?1) AS was_made, (SELECT COUNT(*) FROM mail_outbox
               WHERE account = ?2 AND kind = 'verify_email' AND state <> 'nobody' AND created_at > ?3) AS mails",
            [entry_id.clone().into(), id.as_str().into(), change.at.minus(HOUR).millis().into()],
        ),
        Statement::new(
            concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = ?1 OR u.email_key = ?2"),
            [id.as_str().into(), key.into()],
        ),
    ]);
    let mut rows = run(database, batch).await?;
    let found = rows.pop().unwrap_or_default().all::<UserRow>()?;
    let made = rows.pop().unwrap_or_default().first::<Made>()?;
    if let Some(EmailChange { an_hour, .. }) = &change.email
        && made.as_ref().is_none_or(|made| made.was_made == 0)
    {
        return Ok(match made {
            _ if found.len() > 1 => Changed::EmailTaken,
            Some(made) if made.mails >= i64::from(*an_hour) => Changed::TooManyMails,
            _ => Changed::Overtaken,
        });
    }
    let revoked = if entry_id.is_some() { revocations::entries(last(rows))? } else { Vec::new() };
    match found.into_iter().find(|one| one.id == change.user.id) {
        Some(own) => Ok(Changed::User(own.try_into()?, revoked)),
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
    batch.push(outbox::end_links_if_written(user.id, entry.at, entry.id));
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
