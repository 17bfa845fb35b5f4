//! What somebody who is signed in does with their second factor: shows it again, takes it off, has new recovery codes.
//! The code is used up in the same batch; the row in the log is how the rest of it knows that it was right.

use serde::Deserialize;

use super::enrol::{NewCodes, keep_codes};
use crate::{
    domain::{
        audit::Entry,
        id::{RowId, SessionId, UserId},
        mfa::{RecoveryDigest, Step},
        revocation,
        session::{EndReason, NewSession},
        time::Timestamp,
        user::User,
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::{
        audit, keys, last,
        mfa::failures,
        outbox::{self, NewLetter},
        revocations, run,
        sessions::{EndedBy, Proof, go_on},
        sign_in,
        users::{UserRow, user_columns},
    },
};

/// A code, as far as it was looked at before the batch.
#[derive(Clone, Debug)]
pub enum Shown {
    /// A one-time password of a step that is taken now; whether it was used is for the batch to say.
    Totp(Step),
    /// A recovery code; whether it is one of theirs is for the batch to say.
    Recovery(RecoveryDigest),
}

impl Shown {
    /// How a session that had it is told (RFC 8176).
    const fn amr(&self) -> &'static str {
        match self {
            Self::Totp(_) => "pwd otp",
            Self::Recovery(_) => "pwd rec",
        }
    }

    fn step(&self) -> Option<i64> {
        match self {
            Self::Totp(step) => Some(step.number()),
            Self::Recovery(_) => None,
        }
    }
}

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
    /// The session ended under way.
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
    let mut batch = vec![use_up(&change), audit::write_if_changed(entry)];
    if matches!(change.shown, Shown::Recovery(_)) {
        batch.push(audit::write_if_changed(change.recovery.0));
        batch.push(outbox::write_recovery_used_if_changed(change.recovery.1, Some(user), None));
    }
    batch.extend(change.told.map(|(letter, most)| outbox::notify_if_written(letter, user, entry.id, most)));
    // (3)
    batch.extend(match change.what {
        What::StepUp => step_up(&change),
        What::Disable => disable(&change),
        What::Codes(codes) => renew_codes(&change, codes),
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
    outcome(run(database, batch).await?, &change)
}

/// Uses the code up, if it is right, account and session are as they were, and nothing was closed under way.
fn use_up(change: &Change<'_>) -> Statement {
    let shared: [Value; 6] = [
        change.user.to_string().into(),
        change.session.to_string().into(),
        change.password_hash.into(),
        change.factor.to_string().into(),
        change.attempt.to_string().into(),
        change.entry.at.millis().into(),
    ];
    macro_rules! stands {
        () => {
            "EXISTS (SELECT 1 FROM users u JOIN totp_factors f ON f.user_id = u.id
               WHERE u.id = ?1 AND f.id = ?4 AND u.is_active = 1 AND (?3 IS NULL OR u.password_hash = ?3))
             AND EXISTS (SELECT 1 FROM sessions WHERE id = ?2 AND user_id = ?1 AND ended_at IS NULL)
             AND NOT EXISTS (SELECT 1 FROM sign_in_attempts AS own
               JOIN sign_in_locks AS lock ON lock.account = own.account AND lock.slot = own.slot
               WHERE own.id = ?5 AND lock.until > ?6)"
        };
    }
    match change.shown {
        Shown::Totp(step) => Statement::new(
            concat!("UPDATE totp_factors SET last_step = ?7 WHERE user_id = ?1 AND last_step < ?7 AND ", stands!()),
            [&shared[..], &[step.number().into()]].concat(),
        ),
        Shown::Recovery(digest) => Statement::new(
            concat!(
                "UPDATE recovery_codes SET used_at = ?6, used_by = ?8
                 WHERE user_id = ?1 AND digest = ?7 AND used_at IS NULL AND ",
                stands!()
            ),
            [&shared[..], &[digest.as_str().into(), change.entry.origin.request.to_string().into()]].concat(),
        ),
    }
}

/// The session has had a second factor just now.
fn step_up(change: &Change<'_>) -> Vec<Statement> {
    let (entry, request) = (change.entry, change.entry.origin.request.to_string());
    let proof = Proof { amr: change.shown.amr(), at: Some(entry.at), step: change.shown.step() };
    let mut batch = vec![go_on(change.session, change.renewed, &proof, entry)];
    if let Some(renewed) = change.renewed {
        batch.push(Statement::new(
            "UPDATE sessions SET ended_at = ?3, end_reason = ?4, ended_by = ?5
             WHERE id = ?1 AND ended_at IS NULL AND EXISTS (SELECT 1 FROM sessions WHERE id = ?2)",
            [
                change.session.to_string().into(),
                renewed.id.to_string().into(),
                entry.at.millis().into(),
                EndReason::Renewed.as_str().into(),
                request.as_str().into(),
            ],
        ));
        batch.push(revocations::record_sessions_ended_by(&request, entry.at, change.revoked_until));
    }
    batch
}

/// There is no second factor any more: what says that there was one is over, and so is every other session.
fn disable(change: &Change<'_>) -> Vec<Statement> {
    let entry = change.entry;
    let mut batch = take_off(change.user, entry).to_vec();
    batch.push(revocations::record_users_version_if_changed(change.user, entry.at, change.revoked_until));
    let proof = Proof { amr: "pwd", at: None, step: None };
    batch.push(go_on(change.session, change.renewed, &proof, entry));
    let ended = EndedBy {
        user: change.user,
        keep: Some(change.renewed.map_or(change.session, |renewed| renewed.id)),
        reason: EndReason::FactorChange,
        until: change.revoked_until,
        entry,
    };
    batch.extend(ended.statements());
    batch
}

/// Removes all that is kept of a second factor, if the row in the log is there. The last statement changes the user, once.
pub(super) fn take_off(user: UserId, entry: &Entry) -> [Statement; 6] {
    let params: [Value; 2] = [user.to_string().into(), entry.id.to_string().into()];
    let remove = |sql| Statement::new(sql, params.clone());
    macro_rules! delete_from {
        ($table:literal) => {
            concat!("DELETE FROM ", $table, " WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)")
        };
    }
    [
        remove(delete_from!("totp_factors")),
        remove(delete_from!("recovery_codes")),
        remove(delete_from!("mfa_setups")),
        remove(delete_from!("mfa_challenges")),
        remove(delete_from!("mfa_failures")),
        Statement::new(
            "UPDATE users SET mfa_enabled = 0, token_version = token_version + 1, updated_at = ?3
             WHERE id = ?1 AND mfa_enabled = 1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [&params[..], &[entry.at.millis().into()]].concat(),
        ),
    ]
}

fn renew_codes(change: &Change<'_>, codes: NewCodes<'_>) -> Vec<Statement> {
    let entry = change.entry;
    let mut batch = vec![Statement::new(
        "UPDATE totp_factors SET codes_set = ?2, codes_key = ?3, codes_step = ?4, codes_session = ?5, codes_made_at = ?6
         WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?7)",
        [
            change.user.to_string().into(),
            codes.set.to_string().into(),
            codes.key.into(),
            codes.step.into(),
            change.session.to_string().into(),
            entry.at.millis().into(),
            entry.id.to_string().into(),
        ],
    )];
    batch.extend(keep_codes(change.user, codes, entry));
    batch
}

/// So long recovery codes are told again to whoever shows again what they were asked for by.
const TOLD_AGAIN_FOR_MS: i64 = 5 * 60_000;

fn outcome(mut rows: Vec<Rows>, change: &Change<'_>) -> Result<Shows, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        scope: Option<String>,
        amr: String,
        session_expires_at: Timestamp,
        factor_step: Option<i64>,
        authenticated_at: Timestamp,
        #[serde(flatten)]
        user: UserRow,
    }
    #[derive(Deserialize)]
    struct Codes {
        id: RowId,
        key: String,
        step: i64,
        session: String,
        made_at: i64,
    }
    let session = rows.pop().unwrap_or_default().first::<Found>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let mut revoked = revocations::entries(rows.pop().unwrap_or_default())?;
    let version = revocations::entries(rows.pop().unwrap_or_default())?;
    let keys_version = keys::version(rows.pop().unwrap_or_default())?;
    let codes = last(rows).first::<Codes>()?;
    let Some(session) = session else { return Ok(Shows::Over) };
    if matches!(change.what, What::Disable) {
        revoked.extend(version);
    }
    let is_done = written.contains(&change.entry.id.to_string());
    let step = change.shown.step();
    let factor_step = session.factor_step;
    let changed = Box::new(Changed {
        user: session.user.try_into()?,
        scope: session.scope,
        amr: session.amr.split(' ').map(ToOwned::to_owned).collect(),
        authenticated_at: session.authenticated_at,
        session_expires_at: session.session_expires_at,
        keys_version,
        revoked,
        written,
    });
    if is_done {
        return Ok(Shows::Done(changed));
    }
    let of_this_step = |other: Option<i64>| step.is_some() && step == other;
    Ok(match (change.what, codes) {
        (What::StepUp, _) if of_this_step(factor_step) => Shows::Again(changed, None),
        (What::Codes(_), Some(codes))
            if of_this_step(Some(codes.step))
                && codes.session == change.session.to_string()
                && codes.made_at > change.entry.at.millis() - TOLD_AGAIN_FOR_MS =>
        {
            Shows::Again(changed, Some(Again { set: codes.id, key: codes.key }))
        }
        _ => Shows::Wrong,
    })
}

/// How it is with a user's second factor.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// Since when there is one.
    pub enabled_at: Option<Timestamp>,
    /// How many recovery codes are left.
    pub codes_left: u32,
}

/// Reads it.
pub async fn status(database: &dyn Database, user: UserId) -> Result<Status, ApiError> {
    let question = Statement::new(
        "SELECT (SELECT enabled_at FROM totp_factors WHERE user_id = ?1) AS enabled_at,
           (SELECT COUNT(*) FROM recovery_codes WHERE user_id = ?1 AND used_at IS NULL) AS codes_left",
        [user.to_string().into()],
    );
    let found = last(run(database, vec![question]).await?).first()?;
    found.ok_or_else(|| ApiError::Internal("no word of a second factor".to_owned()))
}
