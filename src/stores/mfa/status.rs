//! How it is with a second factor.

use serde::Deserialize;

use crate::{
    domain::{id::UserId, time::Timestamp},
    error::ApiError,
    ports::{Database, Statement},
    stores::{last, run},
};

/// How it is with a user's second factor.
#[derive(Debug, Deserialize)]
pub struct Status {
    /// Since when there is one.
    pub enabled_at: Option<Timestamp>,
    /// How many recovery codes are left.
    pub codes_left: u32,
}

/// Reads it.
pub async fn status(database: &dyn Database, user: UserId) -> Result<Status, ApiError> {
    let question = Statement::new(
        "SELECT (SELECT enabled_at FROM totp_factors WHERE user_id = ?1) AS enabled_at,
           (SELECT COUNT(*) FROM recovery_codes WHERE user_id = ?1 AND used_at IS NULL) AS codes_left",
        [user.to_string().into()],
    );
    let found = last(run(database, vec![question]).await?).first()?;
    found.ok_or_else(|| ApiError::Internal("no word of a second factor".to_owned()))
}
