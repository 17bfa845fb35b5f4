//! Closing another's account, and removing the person from it. One batch does either; the row in the log is how the
//! rest of it knows that this request did it, once.
//!
//! To erase is to close first. What is left of the account is its id, which everything else refers to: what it was called
//! is free for whoever registers next.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        audit::Act,
        id::SessionId,
        revocation,
        session::EndReason,
        time::Timestamp,
        user::{User, pseudonym},
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::{audit, erasure, last, revocations, run, sessions::EndedBy},
};

/// An account to be closed.
#[derive(Debug)]
pub struct Removal<'a> {
    /// The user as they were read, when it was judged whether the actor may.
    pub user: &'a User,
    /// The session that the actor does it from.
    pub session: SessionId,
    /// The actor's token version when it was judged.
    pub actor_version: i64,
    /// The row in the log, if it was open until then.
    pub closed: &'a Act,
    /// Until when what was issued could matter.
    pub revoked_until: Timestamp,
    /// What else is to be done if the person is to be removed.
    pub erased: Option<Erasure<'a>>,
}

/// What stands in a person's place.
#[derive(Debug)]
pub struct Erasure<'a> {
    /// A hash that is no password's.
    pub password_hash: &'a str,
    /// The row in the log; of the same request and time as the other.
    pub act: &'a Act,
}

/// What came of it.
#[derive(Debug)]
pub enum Removed {
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

/// Whether everything is as it was judged: the roles of the account, and the actor's own (their token version goes up with
/// them) and session. Parameters 1 to 5.
macro_rules! is_as_judged {
    () => {
        "(SELECT json_group_array(role) FROM (SELECT role FROM user_roles WHERE user_id = ?1 ORDER BY role))
           || (SELECT ' ' || token_version FROM users WHERE id = ?5 AND is_active = 1) = ?3
         AND EXISTS (SELECT 1 FROM sessions WHERE id = ?4 AND user_id = ?5 AND ended_at IS NULL)"
    };
}
pub(in crate::stores) use is_as_judged;

/// (1) Closes the account, if it is open, with all that this ends. (2) Removes the person, if that is wanted and was not done
/// before. (3) What came of it.
pub async fn remove(database: &dyn Database, what: Removal<'_>) -> Result<Removed, ApiError> {
    let (entry, user) = (&what.closed.entry, what.user);
    let judged: [Value; 5] = [
        user.id.to_string().into(),
        entry.at.millis().into(),
        format!("{} {}", json!(user.roles), what.actor_version).into(),
        what.session.to_string().into(),
        what.closed.actor.to_string().into(),
    ];
    // (1)
    let mut batch = vec![
        Statement::new(
            concat!(
                "UPDATE users SET is_active = 0, token_version = token_version + 1, updated_at = ?2
                 WHERE id = ?1 AND is_active = 1 AND ",
                is_as_judged!()
            ),
            judged.clone(),
        ),
        audit::write_act_if_changed(what.closed),
        revocations::record_users_version_if_changed(user.id, entry.at, what.revoked_until),
        end_sessions(&what, what.closed),
    ];
    // (2)
    if let Some(erased) = &what.erased {
        batch.extend(erase(&what, erased, &judged));
    }
    // (3)
    let [id, _, _, session, actor] = judged;
    batch.extend([
        revocations::read_of_users_version(user.id, entry.at),
        audit::read_written(entry),
        Statement::new(
            "SELECT is_active, erased_at,
               EXISTS (SELECT 1 FROM sessions s JOIN users a ON a.id = s.user_id
                 WHERE s.id = ?2 AND a.id = ?3 AND s.ended_at IS NULL AND a.is_active = 1 AND a.token_version = ?4) AS stands
             FROM users WHERE id = ?1",
            [id, session, actor, what.actor_version.into()],
        ),
    ]);
    outcome(run(database, batch).await?, what.erased.is_some())
}

fn end_sessions(what: &Removal<'_>, act: &Act) -> Statement {
    let entry = &act.entry;
    let ended =
        EndedBy { user: what.user.id, keep: None, reason: EndReason::Deactivated, until: what.revoked_until, entry };
    ended.end()
}

/// Removes the person. Tokens that are out end by this too: the account may have been closed by hand, without a word of
/// it. `password_version` rises, as whenever the hash changes: no reset mail and no known browser outlives it.
fn erase(what: &Removal<'_>, erased: &Erasure<'_>, judged: &[Value; 5]) -> Vec<Statement> {
    let (user, act) = (what.user.id, erased.act);
    let row = act.entry.id.to_string();
    let mut params = judged.to_vec();
    params.extend([pseudonym(user).into(), erased.password_hash.into()]);
    let mut batch = vec![
        Statement::new(
            concat!(
                "UPDATE users SET username = ?6, email = ?6, email_key = ?6, full_name = '', email_verified = 0,
                   mfa_enabled = 0, last_login_at = NULL, password_hash = ?7, password_version = password_version + 1,
                   is_active = 0, token_version = token_version + 1, updated_at = ?2, erased_at = ?2
                 WHERE id = ?1 AND erased_at IS NULL AND ",
                is_as_judged!()
            ),
            params,
        ),
        audit::write_act_if_changed(act),
        revocations::record_users_version_if_changed(user, act.entry.at, what.revoked_until),
        end_sessions(what, act),
        Statement::new(
            "DELETE FROM user_roles WHERE user_id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [user.to_string().into(), row.as_str().into()],
        ),
        erasure::note(user, act.entry.at, &row),
    ];
    batch.extend(erasure::remove_some(user));
    batch
}

fn outcome(mut rows: Vec<Rows>, erases: bool) -> Result<Removed, ApiError> {
    #[derive(Deserialize)]
    struct State {
        is_active: i64,
        erased_at: Option<i64>,
        stands: i64,
    }
    let state = rows.pop().unwrap_or_default().first::<State>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let revoked = revocations::entries(last(rows))?;
    Ok(match state {
        None => Removed::Gone,
        Some(state) if state.is_active == 0 && (!erases || state.erased_at.is_some()) => {
            Removed::Done { written, revoked }
        }
        Some(state) if state.stands == 0 => Removed::NotStanding,
        Some(_) => Removed::Overtaken,
    })
}
