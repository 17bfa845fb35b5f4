//! What somebody does to another's account. Whether they may is judged before, by what was read of both; the batch that does
//! it holds that once more against the record.

use serde::Deserialize;
use serde_json::json;

use super::{audit, last, revocations};
use crate::{
    domain::{
        audit::Entry,
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
    pub actor: UserId,
    /// The session that they do it from.
    pub session: SessionId,
    /// Their token version.
    pub actor_version: i64,
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
    /// The account holds other roles than when it was judged.
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
}

/// Whether everything is as it was judged: the roles of the account, and the actor's own (their token version goes up with
/// them) and session. Parameters 1 to 5 are [`Judged::params`]; 1 is the user, and 2 the time.
macro_rules! is_as_judged {
    () => {
        "(SELECT json_group_array(role) FROM (SELECT role FROM user_roles WHERE user_id = ?1 ORDER BY role))
           || (SELECT ' ' || token_version FROM users WHERE id = ?5 AND is_active = 1) = ?3
         AND EXISTS (SELECT 1 FROM sessions WHERE id = ?4 AND user_id = ?5 AND ended_at IS NULL)"
    };
}
pub(super) use is_as_judged;

impl Judged<'_> {
    /// For [`is_as_judged`].
    pub(super) fn params(&self, at: Timestamp) -> [Value; 5] {
        [
            self.user.id.to_string().into(),
            at.millis().into(),
            format!("{} {}", json!(self.user.roles), self.actor_version).into(),
            self.session.to_string().into(),
            self.actor.to_string().into(),
        ]
    }

    /// Reads what came of it, at the end of the batch, for [`outcome`].
    pub(super) fn read(&self, entry: &Entry) -> [Statement; 3] {
        [
            revocations::read_of_users_version(self.user.id, entry.at),
            audit::read_written(entry),
            Statement::new(
                "SELECT is_active, mfa_enabled, erased_at,
                   EXISTS (SELECT 1 FROM sessions s JOIN users a ON a.id = s.user_id WHERE s.id = ?2 AND a.id = ?3
                     AND s.ended_at IS NULL AND a.is_active = 1 AND a.token_version = ?4) AS stands
                 FROM users WHERE id = ?1",
                [
                    self.user.id.to_string().into(),
                    self.session.to_string().into(),
                    self.actor.to_string().into(),
                    self.actor_version.into(),
                ],
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
