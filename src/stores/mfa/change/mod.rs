//! What somebody who is signed in does with their second factor: shows it again, takes it off, has new recovery codes.
//! The code is used up in the same batch; the row in the log is how the rest of it knows that it was right.

mod effect;
mod outcome;
mod shown;

pub(super) use effect::take_off;
pub use shown::Shown;

use super::enrol::NewCodes;
use crate::{
    domain::{
        audit::Entry,
        id::{RowId, SessionId, UserId},
        revocation,
        session::NewSession,
        time::Timestamp,
        user::User,
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{
        audit, keys,
        mfa::failures,
        outbox::{self, NewLetter},
        revocations, run, sign_in,
        users::user_columns,
    },
};

/// What a code is shown for.
#[derive(Clone, Copy, Debug)]
pub enum What<'a> {
    /// To have shown it.
    StepUp,
    /// To have no second factor any more.
    Disable,
    /// To have other recovery codes.
    Codes(NewCodes<'a>),
}

/// A change that a code is shown for.
#[derive(Debug)]
pub struct Change<'a> {
    /// What.
    pub what: What<'a>,
    /// Whose.
    pub user: UserId,
    /// Their factor.
    pub factor: RowId,
    /// The session.
    pub session: SessionId,
    /// The one that takes its place, if a cookie holds it and it becomes more, or less.
    pub renewed: Option<&'a NewSession>,
    /// The code.
    pub shown: &'a Shown,
    /// The attempt that it was shown in.
    pub attempt: RowId,
    /// The hash that the password was held against, if there had to be one.
    pub password_hash: Option<&'a str>,
    /// Until when what is ended could matter.
    pub revoked_until: Timestamp,
    /// The row in the log.
    pub entry: &'a Entry,
    /// The mail that tells of it, if one does, and how many there may be in an hour.
    pub told: Option<(&'a NewLetter, u32)>,
    /// The row that tells that a recovery code was used, and the mail.
    pub recovery: (&'a Entry, &'a NewLetter),
}

/// How it is after it.
#[derive(Debug)]
pub struct Changed {
    /// The user.
    pub user: User,
    /// What the session is narrowed to, if it is.
    pub scope: Option<String>,
    /// How its holder proved who they are.
    pub amr: Vec<String>,
    /// When they last did.
    pub authenticated_at: Timestamp,
    /// When it ends.
    pub session_expires_at: Timestamp,
    /// The version of the signing keys.
    pub keys_version: i64,
    /// What is revoked.
    pub revoked: Vec<revocation::Entry>,
    /// The ids of the rows in the log that were written.
    pub written: Vec<String>,
}

/// What came of it.
#[derive(Debug)]
pub enum Shows {
    /// It is so now.
    Done(Box<Changed>),
    /// This very code was shown in this very session before, for the same: its answer may have been lost.
    Again(Box<Changed>, Option<Again>),
    /// The code was wrong, or used before; or the account changed under way.
    Wrong,
    /// The session ended under way, or the factor was taken off.
    Over,
}

/// What recovery codes are made again from.
#[derive(Debug)]
pub struct Again {
    /// The set.
    pub set: RowId,
    /// The key.
    pub key: String,
}

/// (1) The code is used up. (2) The row in the log, if it was right; and that of a recovery code. (3) The change. (4) What
/// failed before it counts no more. (5) What came of it.
pub async fn change(database: &dyn Database, change: Change<'_>) -> Result<Shows, ApiError> {
    let Change { user, entry, .. } = change;
    let request = entry.origin.request.to_string();
    let goes_on = change.renewed.map_or(change.session, |renewed| renewed.id).to_string();
    // (1), (2)
    let mut batch = vec![shown::use_up(&change), audit::write_if_changed(entry)];
    if matches!(change.shown, Shown::Recovery(_)) {
        batch.push(audit::write_if_changed(change.recovery.0));
        batch.push(outbox::write_recovery_used_if_changed(change.recovery.1, Some(user), None));
    }
    batch.extend(change.told.map(|(letter, most)| outbox::notify_if_written(letter, user, entry.id, most)));
    // (3)
    batch.extend(match change.what {
        What::StepUp => effect::step_up(&change),
        What::Disable => effect::disable(&change),
        What::Codes(codes) => effect::renew_codes(&change, codes),
    });
    // (4)
    batch.extend(sign_in::succeeded(change.attempt, entry));
    batch.push(failures::forget_if(change.attempt, entry));
    // (5)
    batch.extend([
        Statement::new(
            "SELECT codes_set AS id, codes_key AS key, codes_step AS step, codes_session AS session, codes_made_at AS made_at
             FROM totp_factors WHERE user_id = ?1",
            [user.to_string().into()],
        ),
        keys::read_version(),
        revocations::read_of_users_version(user, entry.at),
        revocations::read_sessions_ended_by(&request),
        audit::read_written(entry),
        Statement::new(
            concat!(
                "SELECT ",
                user_columns!(),
                ", s.scope, s.amr, s.expires_at AS session_expires_at, s.factor_step,
                   COALESCE(s.authenticated_at, s.created_at) AS authenticated_at
                 FROM sessions s JOIN users u ON u.id = s.user_id
                 WHERE s.ended_at IS NULL AND s.id IN (?1, ?2) AND u.is_active = 1 ORDER BY s.id = ?1 DESC LIMIT 1"
            ),
            [goes_on.into(), change.session.to_string().into()],
        ),
    ]);
    outcome::outcome(run(database, batch).await?, &change)
}
