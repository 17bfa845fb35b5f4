//! API keys: of each its owner, what it was narrowed to, and a hash of its secret.

mod change;
mod live;

pub use change::{Change, Changed, NewKey, Terms, create, end, rotate};
pub use live::{note_uses, snapshot};

use serde::Deserialize;

use super::{forget::in_rounds, last, run};
use crate::{
    domain::{
        id::{ApiKeyId, UserId},
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Statement},
};

/// A user has at most so many, those included that are over and still shown.
pub const MAX: u32 = 50;

/// Whether a key is shown to its owner at the time of a parameter: until it is ended, and one that was replaced until it is over.
macro_rules! is_shown {
    ($now:literal) => {
        concat!("ended_at IS NULL AND (replaced_by IS NULL OR expires_at > ", $now, ")")
    };
}
use is_shown;

/// A key as its owner sees it.
#[derive(Debug, Deserialize)]
pub struct Listed {
    /// Which.
    pub id: ApiKeyId,
    /// What it is called.
    pub name: String,
    /// What may be shown of its text.
    pub prefix: String,
    /// What it was narrowed to, with spaces between.
    pub scopes: String,
    /// From where it may be used, as a JSON list.
    pub addresses: String,
    /// How often in a minute, if that was said.
    pub per_minute: Option<u32>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends.
    pub expires_at: Timestamp,
    /// About when it was last used.
    pub last_used_at: Option<Timestamp>,
    /// The key that was made in its place.
    pub replaced_by: Option<ApiKeyId>,
}

macro_rules! columns {
    () => {
        "SELECT id, name, prefix, scopes, addresses, per_minute, created_at, expires_at, last_used_at, replaced_by
         FROM api_keys"
    };
}

/// A user's own, the newest first.
pub async fn list(database: &dyn Database, user: UserId, now: Timestamp) -> Result<Vec<Listed>, ApiError> {
    let question = Statement::new(
        concat!(
            columns!(),
            " WHERE user_id = ?1 AND ",
            is_shown!("?2"),
            " ORDER BY created_at DESC, id DESC LIMIT 200"
        ),
        [user.to_string().into(), now.millis().into()],
    );
    Ok(last(run(database, vec![question]).await?).all()?)
}

/// One of a user's own, shown or in another's place by now; `None` if it is not theirs, or was ended.
pub async fn one(database: &dyn Database, user: UserId, id: ApiKeyId) -> Result<Option<Listed>, ApiError> {
    let question = Statement::new(
        concat!(columns!(), " WHERE id = ?1 AND user_id = ?2 AND (ended_at IS NULL OR replaced_by IS NOT NULL)"),
        [id.to_string().into(), user.to_string().into()],
    );
    Ok(last(run(database, vec![question]).await?).first()?)
}

/// At most so many batches at once, which is 10,000 keys.
const ROUNDS: usize = 20;

/// Deletes those that were ended, or else over, by these times. Says whether all are gone.
pub async fn forget(database: &dyn Database, ended: Timestamp, over: Timestamp) -> Result<bool, ApiError> {
    let batch = vec![
        Statement::new(
            "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE ended_at <= ?1 LIMIT 500)",
            [ended.millis().into()],
        ),
        Statement::new(
            "DELETE FROM api_keys WHERE id IN (SELECT id FROM api_keys WHERE expires_at <= ?1 LIMIT 500)",
            [over.millis().into()],
        ),
        Statement::new(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE ended_at <= ?1)
               OR EXISTS (SELECT 1 FROM api_keys WHERE expires_at <= ?2) AS left",
            [ended.millis().into(), over.millis().into()],
        ),
    ];
    in_rounds(database, ROUNDS, batch).await
}
