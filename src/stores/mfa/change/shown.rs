//! A code that is shown, and using it up.

use super::Change;
use crate::{
    domain::mfa::{RecoveryDigest, Step},
    ports::{Statement, Value},
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
    pub(super) const fn amr(&self) -> &'static str {
        match self {
            Self::Totp(_) => "pwd otp",
            Self::Recovery(_) => "pwd rec",
        }
    }

    pub(super) fn step(&self) -> Option<i64> {
        match self {
            Self::Totp(step) => Some(step.number()),
            Self::Recovery(_) => None,
        }
    }
}

/// Uses the code up, if it is right, account and session are as they were, and nothing was closed under way.
pub(super) fn use_up(change: &Change<'_>) -> Statement {
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
