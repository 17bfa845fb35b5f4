//! Roles that were granted until some time, and are over: they give nothing from then on, and go some time later.

use crate::{
    domain::time::Timestamp,
    error::ApiError,
    ports::{Database, Statement},
    stores::forget::in_rounds,
};

/// At most so many batches at once, which is 10,000 grants.
const ROUNDS: usize = 20;

/// Deletes those that were over at `before`. Says whether all are gone.
pub async fn forget_grants(database: &dyn Database, before: Timestamp) -> Result<bool, ApiError> {
    let batch = vec![
        Statement::new(
            "DELETE FROM user_roles WHERE (user_id, role) IN (
               SELECT user_id, role FROM user_roles WHERE expires_at <= ?1 LIMIT 500)",
            [before.millis().into()],
        ),
        Statement::new(
            "SELECT EXISTS (SELECT 1 FROM user_roles WHERE expires_at <= ?1) AS left",
            [before.millis().into()],
        ),
    ];
    in_rounds(database, ROUNDS, batch).await
}
