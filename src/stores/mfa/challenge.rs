//! Half a sign-in: the password was right, and a second factor is asked for.

use serde::Deserialize;
use serde_json::json;

use super::Factor;
use crate::{
    domain::{audit::Entry, id::RowId, mfa::Expected, time::Timestamp},
    error::ApiError,
    ports::{Database, Statement},
    stores::{
        audit, last, run,
        sign_in::{ByPassword, rehash},
    },
};

/// A challenge to be written down.
#[derive(Debug)]
pub struct NewChallenge<'a> {
    /// Its id.
    pub id: RowId,
    /// The attempt whose password was right: it counts no more, those before it do.
    pub attempt: RowId,
    /// Whose, and by which password.
    pub by: ByPassword<'a>,
    /// The password's version.
    pub password_version: i64,
    /// The factor that is asked for.
    pub factor: &'a Factor,
    /// Which codes will be right.
    pub expected: &'a [Expected],
    /// Whether nobody has signed in from this browser before.
    pub is_new_device: bool,
    /// When it is over.
    pub expires_at: Timestamp,
    /// The row that tells of it.
    pub entry: &'a Entry,
}

/// Records a challenge. Nothing is recorded, and the answer is `false`, if the account changed since it was read.
pub async fn record(database: &dyn Database, new: NewChallenge<'_>) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Recorded {
        recorded: i64,
    }
    let NewChallenge { by, .. } = new;
    let codes: Vec<_> =
        new.expected.iter().map(|code| json!({ "step": code.step.number(), "mac": code.mac })).collect();
    let id = new.id.to_string();
    let mut batch = vec![Statement::new(
        "INSERT INTO mfa_challenges (id, user_id, slot, factor, codes, scope, is_new_device, token_version,
           password_version, expires_at)
         SELECT ?1, u.id, COALESCE((SELECT slot FROM sign_in_attempts WHERE id = ?2), ''), f.id, ?3, ?4, ?5,
           u.token_version, u.password_version, ?6
         FROM users u JOIN totp_factors f ON f.user_id = u.id
         WHERE u.id = ?7 AND u.is_active = 1 AND u.token_version = ?8 AND u.password_version = ?9
         AND u.password_hash IN (?10, ?11) AND f.id = ?12 ON CONFLICT (id) DO NOTHING",
        [
            id.as_str().into(),
            new.attempt.to_string().into(),
            json!(codes).to_string().into(),
            by.scope.into(),
            i64::from(new.is_new_device).into(),
            new.expires_at.millis().into(),
            by.user.id.to_string().into(),
            by.user.token_version.into(),
            new.password_version.into(),
            by.hash.stored.into(),
            by.hash.renewed.unwrap_or(by.hash.stored).into(),
            new.factor.id.to_string().into(),
        ],
    )];
    batch.push(audit::write_if_challenge(new.entry, new.id));
    batch.extend(rehash(by));
    batch.extend([
        // Without the challenge it is a failure, which is recorded next.
        Statement::new(
            "UPDATE sign_in_attempts SET outcome = 'succeeded'
             WHERE id = ?1 AND outcome = 'pending' AND EXISTS (SELECT 1 FROM mfa_challenges WHERE id = ?2)",
            [new.attempt.to_string().into(), id.as_str().into()],
        ),
        Statement::new("SELECT COUNT(*) AS recorded FROM mfa_challenges WHERE id = ?1", [id.into()]),
    ]);
    let recorded = last(run(database, batch).await?).first::<Recorded>()?;
    Ok(recorded.is_some_and(|row| row.recorded == 1))
}
