//! What is over, and what is sealed under a secret that is to go.

use serde::Deserialize;

use crate::{
    domain::{id::UserId, mfa::escalation::FORGOTTEN_AFTER, time::Timestamp},
    error::ApiError,
    ports::{Database, Statement},
    stores::{forget::in_rounds, last, run},
};

/// At most so many batches at once, which is 50,000 rows of each kind; the rest waits for the next time.
const ROUNDS: usize = 100;
/// So many secrets are sealed anew at once.
const PAGE: i64 = 50;

/// Deletes enrolments and half sign-ins that are over at `now`, and wrong codes that are forgotten. Says whether all are
/// gone.
pub async fn forget(database: &dyn Database, now: Timestamp) -> Result<bool, ApiError> {
    let (before, now) = (now.minus(FORGOTTEN_AFTER).millis(), now.millis());
    let batch = vec![
        Statement::new(
            "DELETE FROM mfa_setups WHERE user_id IN (SELECT user_id FROM mfa_setups WHERE expires_at <= ?1 LIMIT 500)",
            [now.into()],
        ),
        Statement::new(
            "DELETE FROM mfa_challenges WHERE id IN (SELECT id FROM mfa_challenges WHERE expires_at <= ?1 LIMIT 500)",
            [now.into()],
        ),
        Statement::new(
            "DELETE FROM mfa_failures WHERE (user_id, slot) IN (
               SELECT user_id, slot FROM mfa_failures WHERE last_at <= ?1 LIMIT 500)",
            [before.into()],
        ),
        Statement::new(
            "SELECT EXISTS (SELECT 1 FROM mfa_setups WHERE expires_at <= ?1)
             OR EXISTS (SELECT 1 FROM mfa_challenges WHERE expires_at <= ?1)
             OR EXISTS (SELECT 1 FROM mfa_failures WHERE last_at <= ?2) AS left",
            [now.into(), before.into()],
        ),
    ];
    in_rounds(database, ROUNDS, batch).await
}

/// A secret as it is sealed.
#[derive(Debug, Deserialize)]
pub struct SealedRow {
    /// Whose.
    pub user_id: UserId,
    /// Under which key.
    pub sealed_under: String,
    /// Sealed.
    pub secret: String,
}

/// Secrets that are not sealed under the key of that id, some at once, from after a row on: in the order of keys and users,
/// without going through those that are.
pub async fn not_sealed_under(
    database: &dyn Database,
    key: &str,
    after: Option<&SealedRow>,
) -> Result<Vec<SealedRow>, ApiError> {
    macro_rules! page {
        ($condition:literal) => {
            concat!(
                "SELECT * FROM (SELECT user_id, sealed_under, secret FROM totp_factors WHERE ",
                $condition,
                " AND (sealed_under, user_id) > (?2, ?3) ORDER BY sealed_under, user_id LIMIT ?4)"
            )
        };
    }
    let question = Statement::new(
        concat!(
            page!("sealed_under < ?1"),
            " UNION ALL ",
            page!("sealed_under > ?1"),
            " ORDER BY sealed_under, user_id LIMIT ?4"
        ),
        [
            key.into(),
            after.map_or("", |row| row.sealed_under.as_str()).into(),
            after.map(|row| row.user_id.to_string()).unwrap_or_default().into(),
            PAGE.into(),
        ],
    );
    Ok(last(run(database, vec![question]).await?).all()?)
}

/// Puts secrets that were sealed anew, under the key of that id, in the place of what they were read as.
pub async fn put_anew(database: &dyn Database, key: &str, anew: &[(&SealedRow, String)]) -> Result<(), ApiError> {
    let put = |(row, anew): &(&SealedRow, String)| {
        Statement::new(
            "UPDATE totp_factors SET secret = ?3, sealed_under = ?4 WHERE user_id = ?1 AND secret = ?2",
            [row.user_id.to_string().into(), row.secret.as_str().into(), anew.as_str().into(), key.into()],
        )
    };
    if !anew.is_empty() {
        run(database, anew.iter().map(put).collect()).await?;
    }
    Ok(())
}
