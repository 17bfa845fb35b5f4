//! What the database says of itself, in one trip.

use super::{
    outbox::delivery::{self, Counts},
    revocations, run,
};
use crate::{error::ApiError, ports::Database};

/// The newest sequence number of the record of revocations, and how mails fare.
pub async fn look(database: &dyn Database) -> Result<(i64, Counts), ApiError> {
    let mut rows = run(database, vec![revocations::read_newest(), delivery::read_counts()]).await?;
    let counts = delivery::counts(rows.pop().unwrap_or_default())?;
    Ok((revocations::newest_of(rows.pop().unwrap_or_default())?, counts))
}
