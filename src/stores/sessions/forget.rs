//! Sessions that nobody can ask about any more.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::time::Timestamp,
    error::ApiError,
    ports::{Database, Statement},
    stores::{forget::AT_ONCE, last, run},
};

/// At most so many rounds at once, of two batches each, which is 50,000 sessions.
const ROUNDS: usize = 100;

/// Deletes sessions that were over at `before`, with their refresh tokens: ended, at their absolute end, or not used for
/// too long. Says whether all are gone.
///
/// (1) Which they are, each kind by its own index. (2) Those, the refresh tokens first, since they refer to the
/// sessions. What is over does not come back, so nothing is looked at again in between; whoever deletes the same beside
/// this does no harm.
pub async fn forget(database: &dyn Database, before: Timestamp) -> Result<bool, ApiError> {
    // As text: a row that is not as ours are goes the same way.
    #[derive(Deserialize)]
    struct Over {
        id: String,
    }
    for _ in 0..ROUNDS {
        // (1)
        let question = Statement::new(
            "SELECT id FROM (SELECT id FROM sessions WHERE ended_at <= ?1 LIMIT ?2)
             UNION SELECT id FROM (SELECT id FROM sessions WHERE expires_at <= ?1 LIMIT ?2)
             UNION SELECT id FROM (SELECT id FROM sessions WHERE idle_until <= ?1 LIMIT ?2)
             UNION SELECT id FROM (SELECT session_id AS id FROM refresh_tokens WHERE expires_at <= ?1 LIMIT ?2)
             LIMIT ?2",
            [before.millis().into(), AT_ONCE.into()],
        );
        let over: Vec<Over> = last(run(database, vec![question]).await?).all()?;
        if over.is_empty() {
            return Ok(true);
        }
        // (2)
        let is_all = i64::try_from(over.len()).is_ok_and(|count| count < AT_ONCE);
        let ids = json!(over.into_iter().map(|row| row.id).collect::<Vec<_>>()).to_string();
        let batch = vec![
            Statement::new(
                "DELETE FROM refresh_tokens WHERE session_id IN (SELECT value FROM json_each(?1) AS asked)",
                [ids.as_str().into()],
            ),
            Statement::new(
                "DELETE FROM sessions WHERE id IN (SELECT value FROM json_each(?1) AS asked)",
                [ids.as_str().into()],
            ),
        ];
        run(database, batch).await?;
        if is_all {
            return Ok(true);
        }
    }
    Ok(false)
}
