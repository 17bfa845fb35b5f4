//! Enrolment: begun with a secret that nobody has confirmed, and finished by a code of it.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        audit::Entry,
        id::{RowId, SessionId, UserId},
        mfa::RecoveryDigest,
        revocation,
        sealed::Sealed,
        session::{EndReason, NewSession},
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Statement, Value},
    stores::{
        audit, last,
        outbox::{self, NewLetter},
        revocations, run,
        sessions::{EndedBy, EndedSessions, Proof, go_on},
        sign_in::resolve_pending,
        users::Confirmation,
    },
};

/// An enrolment to be begun.
#[derive(Debug)]
pub struct NewSetup<'a> {
    /// Its id.
    pub id: RowId,
    /// Whose.
    pub user: UserId,
    /// The session that it is begun in.
    pub session: SessionId,
    /// The secret, sealed.
    pub sealed: &'a str,
    /// When it is over.
    pub expires_at: Timestamp,
    /// How it was confirmed, if by a password.
    pub confirmed: Option<Confirmation<'a>>,
}

/// Begins an enrolment; one that was begun before is over. `false` if there is a factor, or the account or the session
/// changed under way.
pub async fn begin(database: &dyn Database, new: NewSetup<'_>) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Begun {
        begun: i64,
    }
    let id = new.id.to_string();
    let mut batch = vec![Statement::new(
        "INSERT INTO mfa_setups (user_id, id, secret, sealed_under, session_id, expires_at)
         SELECT u.id, ?1, ?2, ?7, s.id, ?3 FROM users u JOIN sessions s ON s.user_id = u.id
         WHERE u.id = ?4 AND s.id = ?5 AND s.ended_at IS NULL AND u.is_active = 1 AND u.mfa_enabled = 0
         AND (?6 IS NULL OR u.password_hash = ?6)
         ON CONFLICT (user_id) DO UPDATE SET id = excluded.id, secret = excluded.secret, sealed_under = excluded.sealed_under,
           session_id = excluded.session_id, expires_at = excluded.expires_at",
        [
            id.as_str().into(),
            new.sealed.into(),
            new.expires_at.millis().into(),
            new.user.to_string().into(),
            new.session.to_string().into(),
            new.confirmed.map(|confirmed| confirmed.password_hash).into(),
            Sealed::key_id_of(new.sealed).unwrap_or_default().into(),
        ],
    )];
    batch.extend(new.confirmed.map(|confirmed| resolve_pending(confirmed.attempt)));
    batch.push(Statement::new("SELECT COUNT(*) AS begun FROM mfa_setups WHERE id = ?1", [id.into()]));
    let begun = last(run(database, batch).await?).first::<Begun>()?;
    Ok(begun.is_some_and(|row| row.begun == 1))
}

/// An enrolment that was begun.
#[derive(Debug, Deserialize)]
pub struct Setup {
    /// Its id.
    pub id: RowId,
    /// The secret, sealed.
    pub secret: String,
    /// The session that it was begun in.
    pub session_id: SessionId,
    /// When it is over.
    pub expires_at: Timestamp,
    /// Whether it was confirmed.
    pub is_confirmed: i64,
    /// If the recovery codes are those that were made then: by which step, in which session it goes on, and what they are
    /// made again from.
    pub codes_step: Option<i64>,
    /// The session.
    pub codes_session: Option<SessionId>,
    /// The set.
    pub codes_set: Option<RowId>,
    /// The key.
    pub codes_key: Option<String>,
}

/// Reads the enrolment that a user has begun, and the factor that came of it, if one did; and what was revoked of the user's
/// sessions lately: whoever asks again may not have heard that everyone was told.
pub async fn read_setup(
    database: &dyn Database,
    user: UserId,
    now: Timestamp,
) -> Result<(Option<Setup>, Vec<revocation::Entry>), ApiError> {
    let question = Statement::new(
        "SELECT s.id, s.secret, s.session_id, s.expires_at,
           EXISTS (SELECT 1 FROM totp_factors WHERE user_id = s.user_id) AS is_confirmed,
           f.codes_step, f.codes_session, f.codes_set, f.codes_key
         FROM mfa_setups s LEFT JOIN totp_factors f ON f.user_id = s.user_id AND f.id = s.id
           AND f.codes_made_at = f.enabled_at
         WHERE s.user_id = ?1",
        [user.to_string().into()],
    );
    let mut rows = run(database, vec![question, revocations::read_sessions_of(user, now)]).await?;
    let revoked = revocations::entries(rows.pop().unwrap_or_default())?;
    Ok((last(rows).first()?, revoked))
}

/// Recovery codes to be kept, and what they are made again from.
#[derive(Clone, Copy, Debug)]
pub struct NewCodes<'a> {
    /// What is kept of them.
    pub digests: &'a [RecoveryDigest],
    /// The set.
    pub set: RowId,
    /// The key.
    pub key: &'a str,
    /// The step that they are made with, if it was a one-time password that they were asked for by.
    pub step: i64,
}

/// An enrolment to be finished.
#[derive(Debug)]
pub struct Enrolment<'a> {
    /// Whose.
    pub user: UserId,
    /// Which.
    pub setup: RowId,
    /// The session that it was begun in.
    pub session: SessionId,
    /// The one that takes its place, if a cookie holds it.
    pub renewed: Option<&'a NewSession>,
    /// Recovery codes, and the step of the code that confirms.
    pub codes: NewCodes<'a>,
    /// Until when what the ended sessions issued could matter.
    pub revoked_until: Timestamp,
    /// The row in the log.
    pub entry: &'a Entry,
    /// The mail that tells of it, and how many there may be in an hour.
    pub told: (&'a NewLetter, u32),
}

/// Finishes an enrolment, and ends every other session: they were opened by a password alone. This one has had a second
/// factor from now on. Says what is revoked; `None` if it is over, or account or session changed under way.
pub async fn enrol(database: &dyn Database, what: Enrolment<'_>) -> Result<Option<EndedSessions>, ApiError> {
    let Enrolment { user, session, codes, entry, .. } = what;
    let written: Value = entry.id.to_string().into();
    let mut batch = vec![
        Statement::new(
            "INSERT INTO totp_factors (user_id, id, secret, sealed_under, last_step, enabled_at, codes_set, codes_key, codes_step,
               codes_session, codes_made_at)
             SELECT user_id, id, secret, sealed_under, ?5, ?4, ?6, ?7, ?5, ?8, ?4 FROM mfa_setups
             WHERE user_id = ?1 AND id = ?2 AND session_id = ?3 AND expires_at > ?4
             AND EXISTS (SELECT 1 FROM sessions WHERE id = ?3 AND user_id = ?1 AND ended_at IS NULL)
             AND EXISTS (SELECT 1 FROM users WHERE id = ?1 AND is_active = 1 AND mfa_enabled = 0)
             ON CONFLICT (user_id) DO NOTHING",
            [
                user.to_string().into(),
                what.setup.to_string().into(),
                session.to_string().into(),
                entry.at.millis().into(),
                codes.step.into(),
                codes.set.to_string().into(),
                codes.key.into(),
                what.renewed.map_or(session, |renewed| renewed.id).to_string().into(),
            ],
        ),
        audit::write_if_changed(entry),
        outbox::notify_if_changed(what.told.0, user, what.told.1),
        Statement::new(
            "UPDATE users SET mfa_enabled = 1, updated_at = ?2
             WHERE id = ?1 AND mfa_enabled = 0 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?3)",
            [user.to_string().into(), entry.at.millis().into(), written],
        ),
    ];
    batch.extend(keep_codes(user, codes, entry));
    let proof = Proof { amr: "pwd otp", at: Some(entry.at), step: Some(codes.step) };
    batch.push(go_on(session, what.renewed, &proof, entry));
    let ended = EndedBy {
        user,
        keep: Some(what.renewed.map_or(session, |renewed| renewed.id)),
        reason: EndReason::FactorChange,
        until: what.revoked_until,
        entry,
    };
    batch.extend(ended.statements());
    batch.extend(ended.read());
    batch.push(audit::read_written(entry));
    let mut rows = run(database, batch).await?;
    let was_made = audit::written(rows.pop().unwrap_or_default())?.contains(&entry.id.to_string());
    let ended = EndedSessions::of(rows)?;
    Ok(was_made.then_some(ended))
}

/// Puts recovery codes in the place of those from before, if the row in the log is there. Put twice, those that were used
/// in between stay so.
pub(super) fn keep_codes(user: UserId, codes: NewCodes<'_>, entry: &Entry) -> [Statement; 2] {
    let digests: Vec<_> = codes.digests.iter().map(RecoveryDigest::as_str).collect();
    let params: [Value; 3] = [user.to_string().into(), json!(digests).to_string().into(), entry.id.to_string().into()];
    [
        Statement::new(
            "DELETE FROM recovery_codes WHERE user_id = ?1 AND digest NOT IN (SELECT value FROM json_each(?2))
             AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?3)",
            params.clone(),
        ),
        Statement::new(
            "INSERT INTO recovery_codes (user_id, digest) SELECT ?1, value FROM json_each(?2)
             WHERE EXISTS (SELECT 1 FROM audit_events WHERE id = ?3) ON CONFLICT (user_id, digest) DO NOTHING",
            params,
        ),
    ]
}
