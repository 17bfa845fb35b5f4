//! The other half of a sign-in, in one batch: the code is held against what is expected, used up, and the session opened;
//! or the try is counted as a failure. Of two that come at once with one code, one finds it used.

use serde::Deserialize;

use super::failures;
use crate::{
    domain::{
        attempts::Obstacles,
        audit::Entry,
        id::{RowId, UserId},
        mfa::{Code, Expected, MAX_TRIES, Step},
        revocation,
        secret::Secret,
        time::Timestamp,
        user::User,
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::{
        audit, keys, last,
        outbox::{self, NewLetter},
        revocations, run,
        sign_in::{Failed, Opening, insert_session},
        users::{UserRow, user_columns},
    },
};

/// A try to complete a sign-in.
#[derive(Debug)]
pub struct Try<'a> {
    /// The challenge.
    pub challenge: RowId,
    /// The key that its token was made with.
    pub key: &'a Secret,
    /// What was typed.
    pub code: &'a Code,
    /// What is written of a failure. Its attempt is made by this try.
    pub failed: Failed<'a>,
    /// The row that tells that there have been too many.
    pub blocked: &'a Entry,
    /// What is opened by a success; of the same attempt.
    pub opening: Opening<'a>,
    /// The row that tells that a recovery code was used, and the mail.
    pub recovery: (&'a Entry, &'a NewLetter),
}

/// What came of it.
#[derive(Debug)]
pub enum Verified<'a> {
    /// The session is open.
    Good(Box<Verification>),
    /// The code was wrong, or used before: whose, and what was written about that.
    Wrong(UserId, Vec<&'a Entry>),
    /// There have been too many: whose.
    Blocked(UserId, Obstacles),
    /// The challenge is over: its time, its tries, or the account as it was.
    Over,
}

/// A session that was opened.
#[derive(Debug)]
pub struct Verification {
    /// Whose.
    pub user: User,
    /// The version of the password that was right.
    pub password_version: i64,
    /// What it is narrowed to, if it is.
    pub scope: Option<String>,
    /// The version of the signing keys.
    pub keys_version: i64,
    /// What is revoked by it.
    pub revoked: Vec<revocation::Entry>,
    /// Whether the row of a recovery code was written.
    pub used_recovery: bool,
}

/// Whether the code is right: parameters 3 to 6 are the MAC of a one-time password with the first and the last step whose
/// codes are taken now, and the digest of a recovery code; one of them is null.
macro_rules! is_right {
    () => {
        "(EXISTS (SELECT 1 FROM json_each(c.codes) AS code WHERE code.value ->> 'mac' = ?3
            AND code.value ->> 'step' BETWEEN ?4 AND ?5 AND code.value ->> 'step' > f.last_step)
          OR EXISTS (SELECT 1 FROM recovery_codes WHERE user_id = c.user_id AND digest = ?6 AND used_at IS NULL))"
    };
}

/// (1) The try, if there may be one more: right or wrong. (2) The challenge and the code are used up if it is right. (3) The
/// session with all that comes with it. (4) Or the failure, which may close the account. (5) What came of it.
pub async fn verify<'a>(database: &dyn Database, what: Try<'a>) -> Result<Verified<'a>, ApiError> {
    let now = what.opening.success.at;
    let (request, recovery) = (what.opening.success.origin.request.to_string(), what.recovery);
    let codes = codes(&what, now);
    let [mac, from, to, digest] = codes.clone();
    let totp = [mac, from, to];
    let [id, attempt]: [Value; 2] = [what.challenge, what.failed.attempt].map(|id| id.to_string().into());
    let used: [Value; 2] = [id.clone(), request.as_str().into()];
    let mut columns = what.opening.columns(amr(what.code));
    columns.extend(used.clone());
    // (1)
    let mut batch = vec![
        Statement::new(
            concat!(
                "INSERT INTO sign_in_attempts (id, account, slot, number, ip, at, outcome)
                 SELECT ?2, c.user_id, c.slot,
                   1 + (SELECT COALESCE(MAX(number), 0) FROM sign_in_attempts WHERE account = c.user_id), ?7, ?8,
                   CASE WHEN ",
                is_right!(),
                " THEN 'succeeded' ELSE 'failed' END
                 FROM mfa_challenges c JOIN users u ON u.id = c.user_id
                 JOIN totp_factors f ON f.user_id = c.user_id AND f.id = c.factor
                 WHERE c.id = ?1 AND c.used_at IS NULL AND c.expires_at > ?8 AND c.tries < ?9
                 AND c.last_try IS NOT ?2 AND u.is_active = 1
                 AND u.token_version = c.token_version AND u.password_version = c.password_version
                 AND NOT EXISTS (SELECT 1 FROM sign_in_locks
                   WHERE account = c.user_id AND slot = c.slot AND until > ?8)
                 ON CONFLICT (id) DO NOTHING"
            ),
            [
                &[id.clone(), attempt.clone()][..],
                &codes,
                &[what.opening.success.origin.ip.clone().into(), now.millis().into(), MAX_TRIES.into()],
            ]
            .concat(),
        ),
        // (2)
        Statement::new(
            "UPDATE mfa_challenges AS c SET tries = tries + 1, last_try = ?2,
               used_at = CASE own.outcome WHEN 'succeeded' THEN own.at END,
               used_by = CASE own.outcome WHEN 'succeeded' THEN ?6 END,
               used_step = (SELECT MIN(code.value ->> 'step') FROM json_each(c.codes) AS code
                 WHERE own.outcome = 'succeeded' AND code.value ->> 'mac' = ?3
                 AND code.value ->> 'step' BETWEEN ?4 AND ?5 AND code.value ->> 'step' > COALESCE(
                   (SELECT last_step FROM totp_factors WHERE user_id = c.user_id), 0))
             FROM sign_in_attempts AS own WHERE c.id = ?1 AND own.id = ?2 AND c.last_try IS NOT ?2",
            [&[id.clone(), attempt.clone()][..], &totp, &[request.as_str().into()]].concat(),
        ),
    ];
    batch.extend(match what.code {
        Code::Totp(_) => vec![Statement::new(
            "UPDATE totp_factors SET last_step = c.used_step FROM mfa_challenges AS c
             WHERE c.id = ?1 AND c.used_by = ?2 AND totp_factors.user_id = c.user_id AND last_step < c.used_step",
            used,
        )],
        Code::Recovery(_) => vec![
            Statement::new(
                "UPDATE recovery_codes SET used_at = ?4, used_by = ?2 FROM mfa_challenges AS c
                 WHERE c.id = ?1 AND c.used_by = ?2 AND recovery_codes.user_id = c.user_id AND digest = ?3
                 AND recovery_codes.used_at IS NULL",
                [id.clone(), request.as_str().into(), digest, now.millis().into()],
            ),
            audit::write_if_changed_by_challenge(recovery.0, what.challenge),
            outbox::write_recovery_used_if_changed(recovery.1, None, Some(what.challenge)),
        ],
    });
    // (3)
    batch.push(Statement::new(
        concat!(
            insert_session!("c.user_id", "c.scope"),
            " FROM mfa_challenges c WHERE c.id = ?11 AND c.used_by = ?12 ON CONFLICT (id) DO NOTHING"
        ),
        columns,
    ));
    batch.extend(what.opening.statements(Some(what.challenge)));
    batch.push(failures::forget_if(what.failed.attempt, what.opening.success));
    // (4)
    batch.push(audit::write_if_failed(what.failed.failed, what.failed.attempt));
    batch.push(failures::count_if_changed(what.failed.attempt, now));
    batch.extend(what.failed.close(true));
    batch.push(audit::write_if_challenge_is_blocked(what.blocked, what.challenge, what.failed.attempt));
    // (5)
    batch.extend([
        revocations::read_sessions_ended_by(&request),
        keys::read_version(),
        audit::read_written(what.failed.failed),
        Statement::new(
            concat!(
                "SELECT ",
                user_columns!(),
                ", u.password_version, c.scope, c.used_by, c.used_at, c.expires_at, c.tries,
                   u.token_version = c.token_version AND u.password_version = c.password_version AS is_same,
                   (SELECT until FROM sign_in_locks
                    WHERE account = c.user_id AND slot = c.slot AND until > ?2) AS locked_until
                 FROM mfa_challenges c JOIN users u ON u.id = c.user_id WHERE c.id = ?1"
            ),
            [id, now.millis().into()],
        ),
    ]);
    outcome(run(database, batch).await?, &what, &request, now)
}

/// Parameters 3 to 6 of [`is_right`].
fn codes(what: &Try<'_>, now: Timestamp) -> [Value; 4] {
    match what.code {
        Code::Totp(code) => {
            let taken = Step::taken_at(now);
            [
                Expected::mac(code, what.challenge, what.key).into(),
                taken.start().number().into(),
                taken.end().number().into(),
                Value::Null,
            ]
        }
        Code::Recovery(typed) => [Value::Null, Value::Null, Value::Null, typed.digest().as_str().into()],
    }
}

/// How the sign-in is told (RFC 8176).
fn amr(code: &Code) -> &'static str {
    match code {
        Code::Totp(_) => "pwd otp",
        Code::Recovery(_) => "pwd rec",
    }
}

fn outcome<'a>(mut rows: Vec<Rows>, what: &Try<'a>, request: &str, now: Timestamp) -> Result<Verified<'a>, ApiError> {
    #[derive(Deserialize)]
    struct Found {
        password_version: i64,
        scope: Option<String>,
        used_by: Option<String>,
        used_at: Option<i64>,
        expires_at: i64,
        tries: u32,
        is_same: i64,
        locked_until: Option<i64>,
        #[serde(flatten)]
        user: UserRow,
    }
    let found = rows.pop().unwrap_or_default().first::<Found>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let keys_version = keys::version(rows.pop().unwrap_or_default())?;
    let revoked = revocations::entries(last(rows))?;
    let Some(found) = found else { return Ok(Verified::Over) };
    if found.used_by.as_deref() == Some(request) {
        return Ok(Verified::Good(Box::new(Verification {
            user: found.user.try_into()?,
            password_version: found.password_version,
            scope: found.scope,
            keys_version,
            revoked,
            used_recovery: written.contains(&what.recovery.0.id.to_string()),
        })));
    }
    let wrong = what.failed.among(&written);
    if !wrong.is_empty() {
        return Ok(Verified::Wrong(User::try_from(found.user)?.id, wrong));
    }
    let is_open = found.used_at.is_none() && found.expires_at > now.millis() && found.is_same == 1;
    match found.locked_until.filter(|_| is_open && found.tries < MAX_TRIES) {
        Some(until) => {
            let locked_until = Some(Timestamp::from_millis(until));
            Ok(Verified::Blocked(User::try_from(found.user)?.id, Obstacles { locked_until, waits_for: None }))
        }
        None => Ok(Verified::Over),
    }
}
