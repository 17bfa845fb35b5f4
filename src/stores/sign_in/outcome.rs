//! What came of an attempt.

use serde::Deserialize;

use crate::{
    domain::{
        attempts::{AttemptRules, RESOLVED_WITHIN},
        audit::Entry,
        id::RowId,
        mfa::escalation,
        revocation,
        session::{EndReason, Holding, NewSession, cookie::SessionCookie},
        time::{Timestamp, millis},
        token::refresh::salt_text,
        user::User,
    },
    error::ApiError,
    ports::{Database, Statement, Value},
    stores::{
        audit, last,
        mfa::failures,
        outbox::{self, NewLetter},
        revocations, run,
        sessions::is_live,
    },
};

/// A failed attempt, and what is written about it.
#[derive(Clone, Copy, Debug)]
pub struct Failed<'e> {
    /// Which.
    pub attempt: RowId,
    /// How many there may be.
    pub rules: &'e AttemptRules,
    /// The row that tells of it.
    pub failed: &'e Entry,
    /// The row that tells that it closed the account.
    pub locked: &'e Entry,
    /// The mail that tells the same.
    pub closed: &'e NewLetter,
}

impl<'e> Failed<'e> {
    /// Closes what a failed attempt counts under if it is the last of too many: those that led to it are used up, and its
    /// owner is told. A wrong code counts in its row as well, and each such closing is for twice as long
    /// ([`escalation`]); what is closed already is not closed for less.
    pub(in crate::stores) fn close(&self, is_code: bool) -> [Statement; 4] {
        let (id, now, rules) = (self.attempt.to_string(), self.failed.at, self.rules);
        [
            Statement::new(
                "INSERT INTO sign_in_locks (account, slot, until, closed_by)
                 SELECT own.account, own.slot,
                   ?2 + MIN(MAX(?6, ?5), ?5 << MIN(?8, MAX(0, COALESCE(codes.failures, 0) / ?7 - 1))), own.id
                 FROM sign_in_attempts AS own
                 LEFT JOIN mfa_failures AS codes ON ?9 = 1 AND codes.user_id = own.account AND codes.slot = own.slot
                 WHERE own.id = ?1 AND own.outcome = 'failed' AND (codes.failures % ?7 = 0 OR (
                   SELECT COUNT(*) FROM sign_in_attempts AS other
                   WHERE other.account = own.account AND other.slot = own.slot AND other.at > ?3
                   AND other.outcome = 'failed') >= ?4)
                 ON CONFLICT (account, slot) DO UPDATE SET until = MAX(until, excluded.until),
                   closed_by = excluded.closed_by",
                [
                    id.as_str().into(),
                    now.millis().into(),
                    rules.window_start(now).millis().into(),
                    rules.max_failures.into(),
                    millis(rules.lockout).into(),
                    millis(escalation::LONGEST).into(),
                    escalation::FAILURES.into(),
                    escalation::MOST_DOUBLINGS.into(),
                    i64::from(is_code).into(),
                ],
            ),
            audit::write_if_closed(self.locked, self.attempt),
            outbox::write_if_closed(self.closed, self.attempt),
            // Last, since by its own row the attempt finds its lock: put twice, the second finds none.
            Statement::new(
                "DELETE FROM sign_in_attempts WHERE outcome = 'failed' AND (account, slot) = (
                   SELECT lock.account, lock.slot FROM sign_in_attempts AS own
                   JOIN sign_in_locks AS lock ON lock.account = own.account AND lock.slot = own.slot
                   WHERE own.id = ?1 AND lock.closed_by = ?1)",
                [id.as_str().into()],
            ),
        ]
    }

    /// The entries that are among those that were written; `locked` is only where there is an account.
    pub(in crate::stores) fn among(&self, written: &[String]) -> Vec<&'e Entry> {
        [self.failed, self.locked].into_iter().filter(|entry| written.contains(&entry.id.to_string())).collect()
    }
}

/// Records a failed attempt: a password that was wrong, or, if `is_code`, a second factor. Says which of the two entries
/// were written.
pub async fn record_failure<'e>(
    database: &dyn Database,
    what: Failed<'e>,
    is_code: bool,
) -> Result<Vec<&'e Entry>, ApiError> {
    let mut batch = vec![
        Statement::new(
            "UPDATE sign_in_attempts SET outcome = 'failed' WHERE id = ?1 AND outcome = 'pending'",
            [what.attempt.to_string().into()],
        ),
        audit::write(what.failed),
    ];
    if is_code {
        batch.push(failures::count_if_changed(what.attempt, what.failed.at));
    }
    batch.extend(what.close(is_code));
    batch.push(audit::read_written(what.failed));
    Ok(what.among(&audit::written(last(run(database, batch).await?))?))
}

/// Resolves an attempt whose password was right, but which came to nothing that is recorded: it counts no more.
pub async fn resolve(database: &dyn Database, attempt: RowId) -> Result<(), ApiError> {
    run(database, vec![resolve_pending(attempt)]).await.map(drop).map_err(ApiError::from)
}

pub(in crate::stores) fn resolve_pending(attempt: RowId) -> Statement {
    Statement::new(
        "UPDATE sign_in_attempts SET outcome = 'succeeded' WHERE id = ?1 AND outcome = 'pending'",
        [attempt.to_string().into()],
    )
}

/// Records that the password was right but nobody signed in, for another reason: the attempt counts no more, those before
/// it do.
pub async fn record_refused(database: &dyn Database, attempt: RowId, failed: &Entry) -> Result<(), ApiError> {
    let batch = vec![resolve_pending(attempt), audit::write(failed)];
    run(database, batch).await.map(drop).map_err(ApiError::from)
}

/// The hash that a password was right by.
#[derive(Clone, Copy, Debug)]
pub struct VerifiedHash<'a> {
    /// As it was read.
    pub stored: &'a str,
    /// What is to stand in its place: a hash of the same password, always the same for the same `stored`.
    pub renewed: Option<&'a str>,
}

/// What a password was right for.
#[derive(Clone, Copy, Debug)]
pub struct ByPassword<'a> {
    /// The user as they were read.
    pub user: &'a User,
    /// The hash that the password was right by.
    pub hash: VerifiedHash<'a>,
    /// How they proved who they are.
    pub amr: &'a [String],
    /// What the session is narrowed to, if it is.
    pub scope: Option<&'a str>,
}

/// A session to be opened, and all that comes with it.
#[derive(Debug)]
pub struct Opening<'a> {
    /// The attempt.
    pub attempt: RowId,
    /// The session.
    pub session: &'a NewSession,
    /// The session that the browser had before: it ends, whosever it was.
    pub replaced: Option<SessionCookie>,
    /// A user has at most so many sessions: of more, those end that were used longest ago.
    pub max_sessions: u32,
    /// Until when what an ended session issued could matter.
    pub revoked_until: Timestamp,
    /// The row that tells of the sign-in.
    pub success: &'a Entry,
    /// The row that tells of sessions that it ended.
    pub ended: &'a Entry,
    /// The mail that tells of a browser that nobody signed in from before, and how many there may be in an hour.
    pub new_device: Option<(&'a NewLetter, u32)>,
}

/// Records a success: the session, its first refresh token if tokens hold it, the account's last sign-in, and that the
/// failures before it count no more. Says what is revoked with the sessions that end by it. Nothing is
/// recorded, and the answer is `None`, if the account changed since it was read: the attempt is to be recorded as a
/// failure then.
pub async fn record_success(
    database: &dyn Database,
    opening: Opening<'_>,
    by: ByPassword<'_>,
) -> Result<Option<Vec<revocation::Entry>>, ApiError> {
    #[derive(Deserialize)]
    struct Recorded {
        recorded: i64,
    }
    let (id, request) = (opening.session.id.to_string(), opening.success.origin.request.to_string());
    let mut batch = vec![open(&opening, by)];
    batch.extend(rehash(by));
    batch.extend(opening.statements(None));
    batch.extend([
        revocations::read_sessions_ended_by(&request),
        Statement::new("SELECT COUNT(*) AS recorded FROM sessions WHERE id = ?1", [id.into()]),
    ]);
    let mut rows = run(database, batch).await?;
    let recorded = rows.pop().unwrap_or_default().first::<Recorded>()?;
    let revoked = revocations::entries(last(rows))?;
    Ok(recorded.is_some_and(|row| row.recorded == 1).then_some(revoked))
}

/// The session, if the account still is what was read. One that has a second factor by now opens none by a password
/// alone: a trigger of the database sees to it.
fn open(opening: &Opening<'_>, by: ByPassword<'_>) -> Statement {
    let mut params = opening.columns(&by.amr.join(" "));
    params.extend([
        by.scope.into(),
        by.user.id.to_string().into(),
        by.user.token_version.into(),
        by.hash.stored.into(),
        // Another sign-in of theirs may have put it there since.
        by.hash.renewed.unwrap_or(by.hash.stored).into(),
    ]);
    Statement::new(
        concat!(
            insert_session!("u.id", "?11"),
            " FROM users u WHERE u.id = ?12 AND u.is_active = 1 AND u.token_version = ?13
             AND u.password_hash IN (?14, ?15) ON CONFLICT (id) DO NOTHING"
        ),
        params,
    )
}

/// Puts the new hash in the place of the old one. The password is as it was, so `password_version` is, too.
pub(in crate::stores) fn rehash(by: ByPassword<'_>) -> Option<Statement> {
    by.hash.renewed.map(|renewed| {
        Statement::new(
            "UPDATE users SET password_hash = ?3 WHERE id = ?1 AND password_hash = ?2 AND is_active = 1",
            [by.user.id.to_string().into(), by.hash.stored.into(), renewed.into()],
        )
    })
}

/// Begins the statement that puts a session: whose, and what it is narrowed to, are expressions. Parameters 1 to 10 are
/// [`Opening::columns`].
macro_rules! insert_session {
    ($user:literal, $scope:literal) => {
        concat!(
            "INSERT INTO sessions (id, user_id, ip, user_agent, amr, created_at, expires_at, kind, salt, scope,
               idle_ms, idle_until)
             SELECT ?1, ",
            $user,
            ", ?2, ?3, ?4, ?5, ?6, ?7, ?8, ",
            $scope,
            ", ?9, ?10"
        )
    };
}
pub(in crate::stores) use insert_session;

impl Opening<'_> {
    /// What is known of the session beforehand, for [`insert_session`].
    pub(in crate::stores) fn columns(&self, amr: &str) -> Vec<Value> {
        let (session, entry) = (self.session, self.success);
        let (kind, salt, idle) = match session.holding {
            Holding::Tokens => ("bearer", Value::Null, None),
            Holding::Cookie { .. } => ("cookie", salt_text(&session.salt).into(), Some(session)),
        };
        vec![
            session.id.to_string().into(),
            entry.origin.ip.clone().into(),
            entry.origin.user_agent.clone().into(),
            amr.into(),
            entry.at.millis().into(),
            session.expires_at.millis().into(),
            kind.into(),
            salt,
            idle.map(|session| millis(session.idle)).into(),
            idle.map(|session| session.idle_until.millis()).into(),
        ]
    }

    /// What comes with a session, if it is there: its first refresh token if tokens hold it, the account's last sign-in, the
    /// mail and the row that tell of it, that the attempt was good, and the end of those that it replaces or that are
    /// too many. After a `challenge`, that says whether the browser is a new one.
    pub(in crate::stores) fn statements(&self, challenge: Option<RowId>) -> Vec<Statement> {
        let (session, success) = (self.session, self.success);
        let (now, request) = (success.at, success.origin.request.to_string());
        let mut batch = Vec::new();
        if session.holding == Holding::Tokens {
            batch.push(first_refresh_token(session, now));
        }
        batch.push(Statement::new(
            "UPDATE users SET last_login_at = ?2 WHERE id = (SELECT user_id FROM sessions WHERE id = ?1)",
            [session.id.to_string().into(), now.millis().into()],
        ));
        let told = self.new_device;
        batch.extend(told.map(|(letter, most)| outbox::notify_of_new_device(letter, session.id, most, challenge)));
        batch.push(audit::write_if_session(success));
        batch.extend(succeeded(self.attempt, success));
        batch.extend([
            end_others(self, &request),
            audit::write_if_any_changed(self.ended),
            revocations::record_sessions_ended_by(&request, now, self.revoked_until),
        ]);
        batch
    }
}

fn first_refresh_token(session: &NewSession, now: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO refresh_tokens (session_id, salt, generation, rotated_at, expires_at)
         SELECT ?1, ?2, 1, ?3, ?4 WHERE EXISTS (SELECT 1 FROM sessions WHERE id = ?1) ON CONFLICT DO NOTHING",
        [
            session.id.to_string().into(),
            salt_text(&session.salt).into(),
            now.millis().into(),
            session.idle_until.millis().into(),
        ],
    )
}

/// Ends the session that the new one replaces, and those that are one too many, if the new one is there.
fn end_others(opening: &Opening<'_>, request: &str) -> Statement {
    Statement::new(
        concat!(
            "UPDATE sessions SET ended_at = ?2, end_reason = CASE id WHEN ?6 THEN ?8 ELSE ?1 END, ended_by = ?4
             WHERE ended_at IS NULL AND EXISTS (SELECT 1 FROM sessions WHERE id = ?3) AND id IN (
               SELECT id FROM sessions WHERE id = ?6 AND salt = ?7
               UNION ALL
               SELECT id FROM (SELECT s.id FROM sessions s WHERE s.user_id = (SELECT user_id FROM sessions WHERE id = ?3)
                 AND s.id <> ?3 AND s.id IS NOT ?6 AND ",
            is_live!(),
            " ORDER BY COALESCE((SELECT rotated_at FROM refresh_tokens WHERE session_id = s.id),
                 s.last_seen_at, s.created_at) DESC, s.id DESC LIMIT -1 OFFSET ?5 - 1))"
        ),
        [
            EndReason::TooMany.as_str().into(),
            opening.success.at.millis().into(),
            opening.session.id.to_string().into(),
            request.into(),
            opening.max_sessions.into(),
            opening.replaced.map(|cookie| cookie.session.to_string()).into(),
            opening.replaced.map(|cookie| cookie.salt_text()).into(),
            EndReason::Renewed.as_str().into(),
        ],
    )
}

/// Resolves an attempt as good, if the row is there that tells what came of it: what failed before it counts no more.
#[must_use]
pub fn succeeded(attempt: RowId, entry: &Entry) -> [Statement; 2] {
    [
        Statement::new(
            "UPDATE sign_in_attempts SET outcome = 'succeeded'
             WHERE id = ?1 AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [attempt.to_string().into(), entry.id.to_string().into()],
        ),
        // Of its own slot, what came before it and failed, or belongs to a request that is over.
        Statement::new(
            "DELETE FROM sign_in_attempts
             WHERE (account, slot) = (SELECT account, slot FROM sign_in_attempts WHERE id = ?1)
             AND number < (SELECT number FROM sign_in_attempts WHERE id = ?1)
             AND (outcome = 'failed' OR (outcome = 'pending' AND at <= ?3))
             AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?2)",
            [attempt.to_string().into(), entry.id.to_string().into(), entry.at.minus(RESOLVED_WITHIN).millis().into()],
        ),
    ]
}
