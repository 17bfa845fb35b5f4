//! What nobody looks at any more.

use crate::{
    domain::time::Timestamp,
    error::ApiError,
    ports::{Database, Statement},
    stores::forget::in_rounds,
};

/// At most so many batches at once, which is 100,000 attempts and as many locks; the rest waits for the next time.
const ROUNDS: usize = 200;

/// Deletes attempts that were made at `before` or earlier, and locks that are over at `now`. Says whether all are gone.
pub async fn forget_old(database: &dyn Database, before: Timestamp, now: Timestamp) -> Result<bool, ApiError> {
    let (before, now) = (before.millis(), now.millis());
    let batch = vec![
        Statement::new(
            "DELETE FROM sign_in_attempts WHERE id IN (SELECT id FROM sign_in_attempts WHERE at <= ?1 LIMIT 500)",
            [before.into()],
        ),
        Statement::new(
            "DELETE FROM sign_in_locks WHERE (account, slot) IN (
               SELECT account, slot FROM sign_in_locks WHERE until <= ?1 LIMIT 500)",
            [now.into()],
        ),
        Statement::new(
            "SELECT EXISTS (SELECT 1 FROM sign_in_attempts WHERE at <= ?1)
             OR EXISTS (SELECT 1 FROM sign_in_locks WHERE until <= ?2) AS left",
            [before.into(), now.into()],
        ),
    ];
    in_rounds(database, ROUNDS, batch).await
}
