//! What is kept where, each kind with its SQL beside it. The same code runs on D1 and on SQLite.

pub mod api_keys;
pub mod audit;
pub mod blacklist;
pub mod bundle;
pub mod dashboard;
pub mod edge_copy;
pub mod erasure;
pub mod feed;
mod forget;
pub mod health;
pub mod issuer_keys;
pub mod judged;
mod keys;
pub mod mfa;
pub mod outbox;
pub mod policies;
pub mod refresh;
pub mod revocations;
pub mod roles;
pub mod session_copy;
pub mod sessions;
pub mod sign_in;
pub mod users;

use crate::ports::{Database, DatabaseError, Rows, Statement};

/// Runs a batch. One whose answer is lost is run once more, so every batch must be such that
/// twice is the same as once.
pub async fn run(database: &dyn Database, batch: Vec<Statement>) -> Result<Vec<Rows>, DatabaseError> {
    match database.batch(batch.clone()).await {
        Err(DatabaseError::Lost(_)) => database.batch(batch).await,
        answer => answer,
    }
}

/// The rows of the last statement of a batch: by habit the one that reads what came of it.
#[must_use]
pub fn last(mut rows: Vec<Rows>) -> Rows {
    rows.pop().unwrap_or_default()
}
