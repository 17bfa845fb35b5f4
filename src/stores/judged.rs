//! What somebody does to another's account. Whether they may is judged before, by what was read of both; the batch that does
//! it holds that once more against the record.

use serde::Deserialize;

use super::{audit, last, revocations};
use crate::{
    domain::{
        audit::{Act, Entry},
        id::{SessionId, UserId},
        revocation,
        time::Timestamp,
        user::User,
    },
    error::ApiError,
    ports::{Rows, Statement, Value},
};

/// Who does something to whom, as it was judged.
#[derive(Clone, Copy, Debug)]
pub struct Judged<'a> {
    /// The user as they were read.
    pub user: &'a User,
    /// Who does it.
    pub by: Actor,
}

/// Who does something, as it was judged.
#[derive(Clone, Copy, Debug)]
pub struct Actor {
    /// Their id.
    pub user: UserId,
    /// The session that they do it from.
    pub session: SessionId,
    /// Their token version.
    pub version: i64,
    /// The version of the role graph that it was judged by.
    pub roles_version: i64,
}

/// What came of it.
#[derive(Debug)]
pub enum Administered {
    /// It is so now.
    Done {
        /// The ids of the rows in the log that this request has written: none if it was so before.
        written: Vec<String>,
        /// What is revoked by that, or was.
        revoked: Vec<revocation::Entry>,
    },
    /// There is no such account.
    Gone,
    /// The actor's own session is over.
    NotStanding,
    /// The account holds other roles than when it was judged, or roles give something else.
    Overtaken,
}

/// How the account is after it.
#[derive(Debug, Deserialize)]
pub(super) struct State {
    /// Whether it is open.
    pub is_active: i64,
    /// Whether it has a second factor.
    pub mfa_enabled: i64,
    /// When the person was removed from it.
    pub erased_at: Option<i64>,
    stands: i64,
    /// Whether everything is still as it was judged.
    ruled: i64,
}

impl Actor {
    /// How roles and the actor's own were when it was judged, for [`is_ruled`]; beside the session, and who they are.
    pub(super) fn params(&self) -> [Value; 3] {
        [
            format!("{} {}", self.version, self.roles_version).into(),
            self.session.to_string().into(),
            self.user.to_string().into(),
        ]
    }
}

/// Whether what roles give, the actor's own roles (their token version goes up with them) and their session are as it was
/// judged by. Parameters 3 to 5 are [`Actor::params`].
macro_rules! is_ruled {
    () => {
        "(SELECT token_version || ' ' FROM users WHERE id = ?5 AND is_active = 1)
           || (SELECT version FROM versions WHERE name = 'roles') = ?3
         AND EXISTS (SELECT 1 FROM sessions WHERE id = ?4 AND user_id = ?5 AND ended_at IS NULL)"
    };
}
pub(super) use is_ruled;

/// Whether everything is as it was judged: the roles of the account, and what [`is_ruled`] asks. Parameters 1 to 6 are
/// [`Judged::params`]; 1 is the user, and 2 the time.
macro_rules! is_as_judged {
    () => {
        concat!(
            "(SELECT json_group_array(json_object('role', role, 'expires_at', expires_at))
                FROM (SELECT role, expires_at FROM user_roles WHERE user_id = ?1 ORDER BY role)) = ?6
             AND ",
            $crate::stores::judged::is_ruled!()
        )
    };
}
pub(super) use is_as_judged;

/// Whether an actor's session stands. Parameters are the session, who they are, and their token version.
macro_rules! stands {
    ($session:literal, $user:literal, $version:literal) => {
        concat!(
            "EXISTS (SELECT 1 FROM sessions s JOIN users a ON a.id = s.user_id WHERE s.id = ",
            $session,
            " AND a.id = ",
            $user,
            " AND s.ended_at IS NULL AND a.is_active = 1 AND a.token_version = ",
            $version,
            ")"
        )
    };
}
pub(super) use stands;

impl Judged<'_> {
    /// For [`is_as_judged`].
    pub(super) fn params(&self, at: Timestamp) -> [Value; 6] {
        let [ruled, session, actor] = self.by.params();
        // A list of what a row has always can be written; and nothing is like what cannot.
        let grants = serde_json::to_string(&self.user.grants).unwrap_or_default();
        [self.user.id.to_string().into(), at.millis().into(), ruled, session, actor, grants.into()]
    }

    /// Reads what came of it, at the end of the batch, for [`outcome`].
    pub(super) fn read(&self, entry: &Entry) -> [Statement; 3] {
        [
            revocations::read_of_users_version(self.user.id, entry.at),
            audit::read_written(entry),
            Statement::new(
                concat!(
                    "SELECT is_active, mfa_enabled, erased_at, ",
                    stands!("?4", "?5", "?7"),
                    " AS stands, COALESCE(",
                    is_as_judged!(),
                    ", 0) AS ruled FROM users WHERE id = ?1"
                ),
                [self.params(entry.at).as_slice(), &[self.by.version.into()]].concat(),
            ),
        ]
    }
}

/// What came of it, if the account is not gone in the eyes of who asks.
pub(super) fn outcome(
    mut rows: Vec<Rows>,
    is_there: impl FnOnce(&State) -> bool,
    is_done: impl FnOnce(&State) -> bool,
) -> Result<Administered, ApiError> {
    let state = rows.pop().unwrap_or_default().first::<State>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let revoked = revocations::entries(last(rows))?;
    Ok(match state.filter(is_there) {
        None => Administered::Gone,
        Some(state) if is_done(&state) => Administered::Done { written, revoked },
        Some(state) if state.stands == 0 => Administered::NotStanding,
        Some(_) => Administered::Overtaken,
    })
}

/// What came of an act on an account that is there: it is done if the row in the log is there, or if there may have been
/// `nothing` to do and all is still as it was judged.
pub(super) fn outcome_of(act: &Act, nothing: bool, mut rows: Vec<Rows>) -> Result<Administered, ApiError> {
    let state = rows.pop().unwrap_or_default().first::<State>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let revoked = revocations::entries(last(rows))?;
    let is_written = written.contains(&act.entry.id.to_string());
    Ok(match state.filter(|state| state.erased_at.is_none()) {
        None => Administered::Gone,
        Some(state) if is_written || (nothing && state.ruled == 1) => Administered::Done { written, revoked },
        Some(state) if state.stands == 0 => Administered::NotStanding,
        Some(_) => Administered::Overtaken,
    })
}
