//! One account, with what only those who look after it need to know.

use serde::Deserialize;

use super::{UserRow, user_columns};
use crate::{
    domain::{id::UserId, time::Timestamp, user::User},
    error::ApiError,
    ports::{Database, Statement},
    stores::run,
};

/// An account.
#[derive(Debug)]
pub struct Whole {
    /// As everyone sees it.
    pub user: User,
    /// Its roles, and such as are over.
    pub grants: Vec<Granted>,
    /// Until when its sign-in is closed, if it is, to whom no browser is known of.
    pub locked_until: Option<Timestamp>,
    /// How many sessions stand.
    pub live_sessions: i64,
}

/// A role, and how it was granted.
#[derive(Debug, Deserialize)]
pub struct Granted {
    /// Which.
    pub role: String,
    /// When.
    pub granted_at: Timestamp,
    /// By whom; nobody where it came with the account, or from the installation's own machine.
    pub granted_by: Option<UserId>,
    /// When it is over, if it ever is.
    pub expires_at: Option<Timestamp>,
}

/// Reads it; `None` if there is none, or nobody is left of it.
pub async fn whole(database: &dyn Database, id: UserId, now: Timestamp) -> Result<Option<Whole>, ApiError> {
    #[derive(Deserialize)]
    struct State {
        locked_until: Option<Timestamp>,
        live_sessions: i64,
    }
    let of = |sql: &'static str| Statement::new(sql, [id.to_string().into()]);
    let batch = vec![
        of(concat!("SELECT ", user_columns!(), " FROM users u WHERE u.id = ?1 AND u.erased_at IS NULL")),
        of("SELECT role, granted_at, granted_by, expires_at FROM user_roles WHERE user_id = ?1 ORDER BY role"),
        Statement::new(
            "SELECT (SELECT until FROM sign_in_locks WHERE account = ?1 AND slot = '' AND until > ?2) AS locked_until,
               (SELECT COUNT(*) FROM sessions WHERE user_id = ?1 AND ended_at IS NULL AND expires_at > ?2
                AND (idle_until IS NULL OR idle_until > ?2)) AS live_sessions",
            [id.to_string().into(), now.millis().into()],
        ),
    ];
    let mut rows = run(database, batch).await?.into_iter();
    let mut next = || rows.next().unwrap_or_default();
    let (user, grants, state) = (next().first::<UserRow>()?, next().all::<Granted>()?, next().first::<State>()?);
    let Some((user, State { locked_until, live_sessions })) = user.zip(state) else { return Ok(None) };
    Ok(Some(Whole { user: user.try_into()?, grants, locked_until, live_sessions }))
}
