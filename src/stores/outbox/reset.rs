//! Choosing a new password by a mail's token: two batches around the hash. The first says whether the token is good,
//! before anything is hashed; the second uses it, and everything that ends with the old password.

use serde::Deserialize;

use super::{NewLetter, verify::is_of_account, write_if_changed};
use crate::{
    domain::{
        audit::Entry,
        id::{RowId, UserId},
        mfa::escalation,
        revocation,
        session::EndReason,
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::{audit, last, revocations, run},
};

/// A used token is looked at again so often, for whoever lost the answer: more would make it a way to guess what was
/// chosen.
const MAX_REPLAYS: u32 = 5;

/// Whose password is to be chosen.
#[derive(Clone, Debug, Deserialize)]
pub struct Owner {
    /// Who.
    pub id: UserId,
    /// A password must not contain it.
    pub username: String,
    /// Nor this.
    pub email: String,
}

/// What the log says of it.
#[derive(Debug)]
pub struct Entries {
    /// The password was chosen.
    pub reset: Entry,
    /// And by that the address was proven.
    pub verified: Entry,
}

/// What came of choosing.
#[derive(Debug)]
pub enum Chosen {
    /// The password is this one.
    Done {
        /// The entries that this request wrote.
        written: Vec<String>,
        /// What is revoked by that.
        revoked: Vec<revocation::Entry>,
    },
    /// The token is over.
    NotGood,
}

/// A token that was not used and can be: its time is not over, and neither password nor address have changed since.
macro_rules! is_fresh {
    () => {
        concat!(
            "mail_outbox.used_at IS NULL AND EXISTS (SELECT 1 FROM users u WHERE ",
            is_of_account!(),
            " AND u.password_version = mail_outbox.password_version)"
        )
    };
}

/// A reset mail, or an invitation, whose time is not over. Parameter 1 is its id, 2 is now.
macro_rules! is_reset {
    () => {
        "mail_outbox.id = ?1 AND mail_outbox.kind IN ('reset_password', 'invitation') AND mail_outbox.state <> 'nobody'
         AND mail_outbox.expires_at > ?2"
    };
}

/// Whose password a token can choose, if it is good. One that was used counts how often it is looked at again, each
/// request once.
pub async fn owner(
    database: &dyn Database,
    row: RowId,
    request: &str,
    now: Timestamp,
) -> Result<Option<Owner>, ApiError> {
    let shared: [Value; 3] = [row.to_string().into(), now.millis().into(), request.into()];
    let batch = vec![
        Statement::new(
            concat!(
                "UPDATE mail_outbox SET replays = replays + 1, replayed_by = ?3 WHERE ",
                is_reset!(),
                " AND used_at IS NOT NULL AND replays < ?4 AND replayed_by IS NOT ?3"
            ),
            [shared.as_slice(), &[MAX_REPLAYS.into()]].concat(),
        ),
        Statement::new(
            concat!(
                "SELECT owner.id, owner.username, owner.email
                 FROM mail_outbox JOIN users AS owner ON owner.id = mail_outbox.account WHERE ",
                is_reset!(),
                " AND ((",
                is_fresh!(),
                ") OR (used_at IS NOT NULL AND replayed_by = ?3 AND owner.is_active = 1
                       AND owner.password_version = mail_outbox.password_version + 1))"
            ),
            shared,
        ),
    ];
    Ok(last(run(database, batch).await?).first()?)
}

/// Sets the password. (1) The token is used, if it is still good. (2) The log's row, if that proves the address. (3) The
/// password, which ends every token that is out, and every other reset mail, since those are for the version before.
/// (4) What tells of it, once. (5) The sessions, and what was counted against the account. (6) What came of it.
pub async fn choose(
    database: &dyn Database,
    row: RowId,
    owner: &Owner,
    password_hash: &str,
    until: Timestamp,
    entries: &Entries,
    told: &NewLetter,
) -> Result<Chosen, ApiError> {
    let entry = &entries.reset;
    let (id, user) = (row.to_string(), owner.id.to_string());
    let (now, request) = (entry.at, entry.origin.request.to_string());
    let batch = vec![
        // (1)
        Statement::new(
            concat!("UPDATE mail_outbox SET used_at = ?2, used_by = ?3 WHERE ", is_reset!(), " AND ", is_fresh!()),
            [id.as_str().into(), now.millis().into(), request.as_str().into()],
        ),
        // (2)
        audit::write_if_proven_by_mail(&entries.verified, row),
        // (3) Put twice, the second finds another version.
        Statement::new(
            "UPDATE users SET password_hash = ?3, password_version = password_version + 1,
               token_version = token_version + 1, email_verified = 1, updated_at = ?4
             WHERE id = ?5 AND password_version = (
               SELECT password_version FROM mail_outbox WHERE id = ?1 AND used_by = ?2)",
            [
                id.as_str().into(),
                request.as_str().into(),
                password_hash.into(),
                now.millis().into(),
                user.as_str().into(),
            ],
        ),
        // (4)
        audit::write_if_changed(entry),
        write_if_changed(told, owner.id),
        revocations::record_users_version_if_changed(owner.id, now, until),
        // (5)
        Statement::new(
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4
             WHERE user_id = ?1 AND ended_at IS NULL AND changes() = 1",
            [
                user.as_str().into(),
                now.millis().into(),
                EndReason::PasswordReset.as_str().into(),
                request.as_str().into(),
            ],
        ),
        Statement::new(
            "DELETE FROM sign_in_attempts WHERE account = ?1
             AND EXISTS (SELECT 1 FROM mail_outbox WHERE id = ?2 AND used_by = ?3)",
            [user.as_str().into(), id.as_str().into(), request.as_str().into()],
        ),
        // A lock stays that wrong codes have led to: who reads the mails cannot guess the second factor all the more.
        Statement::new(
            "DELETE FROM sign_in_locks WHERE account = ?1
             AND EXISTS (SELECT 1 FROM mail_outbox WHERE id = ?2 AND used_by = ?3)
             AND NOT EXISTS (SELECT 1 FROM mfa_failures AS codes
               WHERE codes.user_id = ?1 AND codes.slot = sign_in_locks.slot AND codes.failures >= ?4)",
            [user.as_str().into(), id.as_str().into(), request.as_str().into(), escalation::FAILURES.into()],
        ),
        // (6)
        revocations::read_of_users_version(owner.id, now),
        audit::read_written(entry),
        Statement::new(
            "SELECT u.id FROM mail_outbox JOIN users u ON u.id = mail_outbox.account
             WHERE mail_outbox.id = ?1 AND used_at IS NOT NULL AND u.password_hash = ?2
             AND u.password_version = mail_outbox.password_version + 1",
            [id.as_str().into(), password_hash.into()],
        ),
    ];
    outcome(run(database, batch).await?)
}

fn outcome(mut rows: Vec<Rows>) -> Result<Chosen, ApiError> {
    let found = rows.pop().unwrap_or_default();
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let revoked = revocations::entries(rows.pop().unwrap_or_default())?;
    Ok(if found.0.is_empty() { Chosen::NotGood } else { Chosen::Done { written, revoked } })
}
