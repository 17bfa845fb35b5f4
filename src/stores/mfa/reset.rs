//! Taking off another's second factor: of who has lost both app and recovery codes, and proved to somebody who they are.

use serde::Deserialize;
use serde_json::json;

use super::change::take_off;
use crate::{
    domain::{audit::Act, id::SessionId, revocation, session::EndReason, time::Timestamp, user::User},
    error::ApiError,
    ports::{Database, Statement, Value},
    stores::{
        audit, last,
        outbox::{self, NewLetter},
        revocations, run,
        sessions::EndedBy,
        users::is_as_judged,
    },
};

/// A second factor to be taken off.
#[derive(Debug)]
pub struct Reset<'a> {
    /// The user as they were read, when it was judged whether the actor may.
    pub user: &'a User,
    /// The session that the actor does it from.
    pub session: SessionId,
    /// The actor's token version when it was judged.
    pub actor_version: i64,
    /// The row in the log.
    pub act: &'a Act,
    /// Until when what was issued could matter.
    pub revoked_until: Timestamp,
    /// The mail that tells its owner, and how many there may be in an hour.
    pub told: (&'a NewLetter, u32),
}

/// What came of it.
#[derive(Debug)]
pub enum Done {
    /// There is none any more.
    Reset {
        /// Whether this request did it.
        now: bool,
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

/// Takes it off, and ends every session of its owner. To do it twice is to do it once.
pub async fn reset(database: &dyn Database, what: Reset<'_>) -> Result<Done, ApiError> {
    #[derive(Deserialize)]
    struct State {
        mfa_enabled: i64,
        stands: i64,
    }
    let (entry, user) = (&what.act.entry, what.user.id);
    let judged: [Value; 5] = [
        user.to_string().into(),
        entry.at.millis().into(),
        format!("{} {}", json!(what.user.roles), what.actor_version).into(),
        what.session.to_string().into(),
        what.act.actor.to_string().into(),
    ];
    let [id, _, _, session, actor] = judged.clone();
    let mut batch = vec![
        // Touched, so that what comes after knows.
        Statement::new(
            concat!(
                "UPDATE users SET updated_at = ?2 WHERE id = ?1 AND mfa_enabled = 1 AND erased_at IS NULL AND ",
                is_as_judged!()
            ),
            judged,
        ),
        audit::write_act_if_changed(what.act),
        outbox::notify_if_written(what.told.0, user, entry.id, what.told.1),
    ];
    batch.extend(take_off(user, entry));
    batch.push(revocations::record_users_version_if_changed(user, entry.at, what.revoked_until));
    let ended = EndedBy { user, keep: None, reason: EndReason::FactorChange, until: what.revoked_until, entry };
    batch.extend(ended.statements());
    batch.extend([
        revocations::read_of_users_version(user, entry.at),
        audit::read_written(entry),
        Statement::new(
            "SELECT mfa_enabled,
               EXISTS (SELECT 1 FROM sessions s JOIN users a ON a.id = s.user_id
                 WHERE s.id = ?2 AND a.id = ?3 AND s.ended_at IS NULL AND a.is_active = 1 AND a.token_version = ?4) AS stands
             FROM users WHERE id = ?1 AND erased_at IS NULL",
            [id, session, actor, what.actor_version.into()],
        ),
    ]);
    let mut rows = run(database, batch).await?;
    let state = rows.pop().unwrap_or_default().first::<State>()?;
    let written = audit::written(rows.pop().unwrap_or_default())?;
    let revoked = revocations::entries(last(rows))?;
    Ok(match state {
        None => Done::Gone,
        Some(state) if state.mfa_enabled == 0 => Done::Reset { now: written.contains(&entry.id.to_string()), revoked },
        Some(state) if state.stands == 0 => Done::NotStanding,
        Some(_) => Done::Overtaken,
    })
}
