//! Refresh tokens: one batch that rotates, gives a lost answer again, or ends the session.

use std::time::Duration;

use serde::Deserialize;
use serde_json::json;

use super::{
    audit, keys, last, revocations, run,
    users::{UserRow, user_columns},
};
use crate::{
    domain::{
        audit::Entry,
        id::{SessionId, UserId},
        revocation::{self, Revoked},
        scope::Scope,
        session::{EndReason, ReuseRevokes},
        time::{Timestamp, millis},
        token::refresh::RefreshToken,
        user::User,
    },
    error::ApiError,
    ports::{Database, Statement, Value},
};

/// What is written about whichever way it goes.
#[derive(Debug)]
pub struct Entries {
    /// The token was exchanged.
    pub rotated: Entry,
    /// It had been replaced long since.
    pub reuse: Entry,
}

/// Lives that a rotation is bound by.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// What is asked for, if that is less than what was granted.
    pub scope: Option<&'a Scope>,
    /// How long the immediate predecessor gives the same answer.
    pub grace: Duration,
    /// When the successor ends if it is not used.
    pub expires_at: Timestamp,
    /// Until when the session's access tokens could matter.
    pub revoked_until: Timestamp,
    /// What ends where the token had been replaced long since.
    pub reuse_revokes: ReuseRevokes,
}

/// What came of presenting a refresh token.
#[derive(Debug)]
pub enum Presented {
    /// It was exchanged, now or a moment ago: these are the user and the session.
    Good(Box<Standing>),
    /// It is stolen goods: the session is over.
    Reuse {
        /// Whose.
        user: UserId,
        /// Whether this request ended it, rather than an earlier one.
        ended_now: bool,
        /// What is revoked by that.
        revoked: Vec<revocation::Entry>,
    },
    /// It asks for more than was granted: nothing happened to it.
    Beyond,
    /// It is not honoured: expired, ended, of an inactive account, or not of this session.
    Refused,
}

/// Whom a refresh token speaks for.
#[derive(Debug)]
pub struct Standing {
    /// The user, with roles as they are now.
    pub user: User,
    /// How they signed in.
    pub amr: Vec<String>,
    /// What the session was narrowed to, if it was.
    pub scope: Option<String>,
    /// When they signed in.
    pub signed_in_at: Timestamp,
    /// When the session ends.
    pub session_expires_at: Timestamp,
    /// The version of the signing keys.
    pub keys_version: i64,
    /// Whether this request did it, rather than one whose answer may have been lost.
    pub rotated_now: bool,
}

#[derive(Deserialize)]
struct Row {
    generation: i64,
    rotated_by: Option<String>,
    token_expires_at: i64,
    session_expires_at: i64,
    signed_in_at: i64,
    ended_at: Option<i64>,
    end_reason: Option<String>,
    ended_by: Option<String>,
    amr: String,
    scope: Option<String>,
    #[serde(flatten)]
    user: UserRow,
}

/// Presents a token. In this order, in one transaction: a generation older than the immediate
/// predecessor, or the predecessor after its grace, ends the session; the newest generation is
/// raised by one; what came of it is read.
pub async fn present(
    database: &dyn Database,
    token: &RefreshToken,
    terms: Terms<'_>,
    entries: &Entries,
) -> Result<Presented, ApiError> {
    let now = entries.rotated.at;
    let request = entries.rotated.origin.request.to_string();
    let asked: Vec<_> = terms.scope.iter().flat_map(|scope| scope.names()).collect();
    let ids: [Value; 3] = [token.session.to_string().into(), token.salt_text().into(), token.generation.into()];
    let [session, salt, generation] = ids;
    let mut batch = vec![
        // Our own rotation, repeated because its answer was lost, is no reuse: `rotated_by` tells.
        Statement::new(
            "UPDATE sessions SET ended_at = ?4, end_reason = ?5, ended_by = ?6
             WHERE id = ?1 AND ended_at IS NULL AND EXISTS (
               SELECT 1 FROM refresh_tokens t WHERE t.session_id = ?1 AND t.salt = ?2
               AND (t.generation > ?3 + 1
                    OR (t.generation = ?3 + 1 AND (?7 = 0 OR t.rotated_at + ?7 <= ?4) AND t.rotated_by IS NOT ?6)))",
            [
                session.clone(),
                salt.clone(),
                generation.clone(),
                now.millis().into(),
                EndReason::TokenReuse.as_str().into(),
                request.as_str().into(),
                millis(terms.grace).into(),
            ],
        ),
        audit::write_if_changed(&entries.reuse),
        revocations::record_if_changed(&Revoked::Session(token.session), token.session, now, terms.revoked_until),
    ];
    if terms.reuse_revokes == ReuseRevokes::User {
        batch.extend(end_everything(token.session, terms.revoked_until, &entries.reuse));
    }
    batch.extend([
        Statement::new(
            "UPDATE refresh_tokens SET generation = generation + 1, rotated_at = ?4, rotated_by = ?5,
               expires_at = MIN(?6, (SELECT expires_at FROM sessions WHERE id = ?1))
             WHERE session_id = ?1 AND salt = ?2 AND generation = ?3 AND expires_at > ?4
             AND EXISTS (SELECT 1 FROM sessions s JOIN users u ON u.id = s.user_id
                         WHERE s.id = ?1 AND s.ended_at IS NULL AND s.expires_at > ?4 AND u.is_active = 1
                         AND NOT EXISTS (SELECT 1 FROM json_each(?7) AS asked
                           WHERE instr(' ' || s.scope || ' ', ' ' || asked.value || ' ') = 0))",
            [
                session.clone(),
                salt.clone(),
                generation,
                now.millis().into(),
                request.as_str().into(),
                terms.expires_at.millis().into(),
                json!(asked).to_string().into(),
            ],
        ),
        audit::write_if_changed(&entries.rotated),
        Statement::new(
            concat!(
                "SELECT ",
                user_columns!(),
                ", t.generation, t.rotated_by, t.expires_at AS token_expires_at, s.expires_at AS session_expires_at,
                  COALESCE(s.authenticated_at, s.created_at) AS signed_in_at, s.ended_at, s.end_reason, s.ended_by, s.amr, s.scope
                 FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id
                 WHERE t.session_id = ?1 AND t.salt = ?2"
            ),
            [session, salt],
        ),
        revocations::read_of_session(token.session, None),
        keys::read_version(),
    ]);
    let mut rows = run(database, batch).await?;
    let keys_version = keys::version(rows.pop().unwrap_or_default())?;
    let revoked = revocations::entries(rows.pop().unwrap_or_default())?;
    judge(last(rows).first::<Row>()?, token, terms.scope, &request, now, keys_version, revoked)
}

/// Ends every session of a session's user as well, and every token that was issued to them, if the statement before
/// recorded that it ended.
fn end_everything(session: SessionId, until: Timestamp, entry: &Entry) -> [Statement; 3] {
    let (id, now) = (session.to_string(), entry.at.millis());
    [
        Statement::new(
            "UPDATE users SET token_version = token_version + 1, updated_at = ?2
             WHERE id = (SELECT user_id FROM sessions WHERE id = ?1) AND changes() = 1",
            [id.as_str().into(), now.into()],
        ),
        revocations::record_version_if_changed(session, entry.at, until),
        Statement::new(
            "UPDATE sessions SET ended_at = ?2, end_reason = ?3, ended_by = ?4
             WHERE ended_at IS NULL AND user_id = (SELECT user_id FROM sessions WHERE id = ?1) AND changes() = 1",
            [
                id.as_str().into(),
                now.into(),
                EndReason::TokenReuse.as_str().into(),
                entry.origin.request.to_string().into(),
            ],
        ),
    ]
}

fn judge(
    row: Option<Row>,
    token: &RefreshToken,
    asked: Option<&Scope>,
    request: &str,
    now: Timestamp,
    keys_version: i64,
    revoked: Vec<revocation::Entry>,
) -> Result<Presented, ApiError> {
    let Some(row) = row else { return Ok(Presented::Refused) };
    let user: User = row.user.try_into()?;
    if row.ended_at.is_some() {
        let reuse = row.end_reason.as_deref() == Some(EndReason::TokenReuse.as_str());
        let ended_now = row.ended_by.as_deref() == Some(request);
        return Ok(if reuse { Presented::Reuse { user: user.id, ended_now, revoked } } else { Presented::Refused });
    }
    if asked.is_some_and(|asked| !asked.is_within(row.scope.as_deref())) {
        return Ok(Presented::Beyond);
    }
    let exchanged = row.generation == i64::from(token.generation) + 1;
    let alive = row.token_expires_at > now.millis() && row.session_expires_at > now.millis() && user.is_active;
    if !exchanged || !alive {
        return Ok(Presented::Refused);
    }
    Ok(Presented::Good(Box::new(Standing {
        user,
        scope: row.scope,
        amr: row.amr.split(' ').map(ToOwned::to_owned).collect(),
        signed_in_at: Timestamp::from_millis(row.signed_in_at),
        session_expires_at: Timestamp::from_millis(row.session_expires_at),
        keys_version,
        rotated_now: row.rotated_by.as_deref() == Some(request),
    })))
}
