//! A user's sessions, as they are shown to them.

use serde::Deserialize;

use super::is_live;
use crate::{
    domain::{
        id::{SessionId, UserId},
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{last, run},
};

/// More than anyone has: `SESSION_LIMIT` is no higher.
const MOST: i64 = 100;

/// A session that stands.
#[derive(Debug, Deserialize)]
pub struct Listed {
    /// Its id.
    pub id: SessionId,
    /// What the client called itself when it began.
    pub user_agent: Option<String>,
    /// The address it came from then.
    pub ip: Option<String>,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to a 24th of how long it may go unused.
    pub seen_at: Timestamp,
    /// When it ends if it is not used.
    pub idle_until: Timestamp,
}

/// The sessions of a user that may still be used, the newest first.
pub async fn list(database: &dyn Database, user: UserId, now: Timestamp) -> Result<Vec<Listed>, ApiError> {
    let question = Statement::new(
        concat!(
            "SELECT s.id, s.user_agent, s.ip, s.created_at,
               COALESCE(t.rotated_at, s.last_seen_at, s.created_at) AS seen_at,
               MIN(s.expires_at, COALESCE(t.expires_at, s.idle_until)) AS idle_until
             FROM sessions s LEFT JOIN refresh_tokens t ON t.session_id = s.id
             WHERE s.user_id = ?1 AND ",
            is_live!(),
            " ORDER BY s.created_at DESC, s.id DESC LIMIT ?3"
        ),
        [user.to_string().into(), now.millis().into(), MOST.into()],
    );
    Ok(last(run(database, vec![question]).await?).all()?)
}
