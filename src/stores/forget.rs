//! Deleting what is over: a few rows in each batch, so that none keeps others waiting, and a bounded number of batches,
//! so that it ends. What is left waits for the next time.

use serde::Deserialize;

use super::{last, run};
use crate::{
    error::ApiError,
    ports::{Database, Rows, Statement},
};

/// So many rows of a kind are deleted, or changed, by one batch. Statements have it as `LIMIT 500`, since their text is
/// constant.
pub const AT_ONCE: i64 = 500;

/// Runs a batch until it leaves nothing, so many times at most. Its last statement reads one number, `left`: whether there is
/// more. Says whether all is gone.
pub(super) async fn in_rounds(database: &dyn Database, rounds: usize, batch: Vec<Statement>) -> Result<bool, ApiError> {
    for _ in 0..rounds {
        if !is_more(last(run(database, batch.clone()).await?))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether there is more, as was read.
pub(super) fn is_more(rows: Rows) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Left {
        left: i64,
    }
    Ok(rows.first::<Left>()?.is_some_and(|found| found.left != 0))
}
