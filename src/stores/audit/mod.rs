//! Audit rows: written in the batch of the change they tell of, and shown to the log as well.

pub mod list;
pub mod seals;

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        audit::{Act, Entry},
        id::{RowId, UserId},
    },
    error::ApiError,
    ports::{Log, Rows, Statement, Value},
};

fn params(entry: &Entry) -> Vec<Value> {
    vec![
        entry.id.to_string().into(),
        entry.at.millis().into(),
        entry.event.name().into(),
        entry.event.severity().name().into(),
        entry.subject.map(|id| id.to_string()).into(),
        entry.session.map(|id| id.to_string()).into(),
        entry.origin.ip.clone().into(),
        entry.origin.user_agent.clone().into(),
        entry.origin.request.to_string().into(),
    ]
}

/// A row about a session is about its user, whether or not the request knew who that is.
macro_rules! insert_where {
    ($condition:literal) => {
        insert_where!($condition, "SELECT user_id FROM sessions WHERE id = ?6")
    };
    ($condition:literal, $subject:literal) => {
        concat!(
            "INSERT INTO audit_events (id, at, event, severity, subject, session_id, ip, user_agent, request_id)
             SELECT ?1, ?2, ?3, ?4, COALESCE(?5, (",
            $subject,
            ")), ?6, ?7, ?8, ?9 WHERE ",
            $condition,
            " ON CONFLICT (id) DO NOTHING"
        )
    };
}

/// A row that names who did it, parameter 10, and what it was, parameter 11.
macro_rules! insert_act_where {
    ($condition:literal) => {
        concat!(
            "INSERT INTO audit_events (
               id, at, event, severity, subject, session_id, ip, user_agent, request_id, actor, detail)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11 WHERE ",
            $condition,
            " ON CONFLICT (id) DO NOTHING"
        )
    };
}

/// Writes the row.
#[must_use]
pub fn write(entry: &Entry) -> Statement {
    Statement::new(insert_where!("true"), params(entry))
}

/// Writes the row if the statement before it changed one row.
#[must_use]
pub fn write_if_changed(entry: &Entry) -> Statement {
    Statement::new(insert_where!("changes() = 1"), params(entry))
}

/// Writes the row of an act.
#[must_use]
pub fn write_act(act: &Act) -> Statement {
    let mut params = params(&act.entry);
    params.extend([act.actor.to_string().into(), act.detail.clone().into()]);
    Statement::new(insert_act_where!("true"), params)
}

/// Writes the row of an act if the statement before it changed one row.
#[must_use]
pub fn write_act_if_changed(act: &Act) -> Statement {
    let mut params = params(&act.entry);
    params.extend([act.actor.to_string().into(), act.detail.clone().into()]);
    Statement::new(insert_act_where!("changes() = 1"), params)
}

/// Writes the row of an act if that of another is there, of the same request.
#[must_use]
pub fn write_act_if_written(act: &Act, other: RowId) -> Statement {
    let mut params = params(&act.entry);
    params.extend([act.actor.to_string().into(), act.detail.clone().into(), other.to_string().into()]);
    Statement::new(insert_act_where!("EXISTS (SELECT 1 FROM audit_events WHERE id = ?12)"), params)
}

/// Writes the row if the statement before it changed any.
#[must_use]
pub fn write_if_any_changed(entry: &Entry) -> Statement {
    Statement::new(insert_where!("changes() > 0"), params(entry))
}

/// Writes the row, about whoever has this address, if the statement before it changed one row.
#[must_use]
pub fn write_if_changed_of(entry: &Entry, email_key: &str) -> Statement {
    let mut params = params(entry);
    params.push(email_key.into());
    Statement::new(insert_where!("changes() = 1", "SELECT id FROM users WHERE email_key = ?10"), params)
}

/// Writes the row, about whose account a mail is, if the statement before it changed one row.
#[must_use]
pub fn write_if_changed_by_mail(entry: &Entry, mail: RowId) -> Statement {
    let mut params = params(entry);
    params.push(mail.to_string().into());
    Statement::new(insert_where!("changes() = 1", "SELECT account FROM mail_outbox WHERE id = ?10"), params)
}

/// Writes the row if the entry's request has used a mail's token, and the address of its subject is not proven yet.
#[must_use]
pub fn write_if_proven_by_mail(entry: &Entry, mail: RowId) -> Statement {
    let mut params = params(entry);
    params.push(mail.to_string().into());
    Statement::new(
        insert_where!(
            "EXISTS (SELECT 1 FROM mail_outbox WHERE id = ?10 AND used_by = ?9)
             AND EXISTS (SELECT 1 FROM users WHERE id = ?5 AND email_verified = 0)"
        ),
        params,
    )
}

/// Writes the row if the entry's session exists.
#[must_use]
pub fn write_if_session(entry: &Entry) -> Statement {
    Statement::new(insert_where!("EXISTS (SELECT 1 FROM sessions WHERE id = ?6)"), params(entry))
}

/// Writes the row if the entry's session stands and may end others, and the salt, if there is one, is its own; a refresh token's generation
/// must be the newest, or the one before it, whose answer may have been lost.
#[must_use]
pub fn write_if_session_stands(entry: &Entry, salt: Value, generation: Value) -> Statement {
    let mut params = params(entry);
    params.extend([salt, generation]);
    Statement::new(
        insert_where!(
            "EXISTS (SELECT 1 FROM sessions WHERE id = ?6 AND ended_at IS NULL AND expires_at > ?2
             AND (scope IS NULL OR instr(' ' || scope || ' ', ' profile:write ') > 0)
             AND (kind <> 'cookie' OR idle_until > ?2)
             AND (?10 IS NULL OR ?10 = COALESCE(salt, (SELECT salt FROM refresh_tokens WHERE session_id = ?6))))
             AND (?11 IS NULL OR EXISTS (SELECT 1 FROM refresh_tokens
               WHERE session_id = ?6 AND expires_at > ?2 AND generation - ?11 IN (0, 1)))"
        ),
        params,
    )
}

/// Writes the row if the entry's subject exists.
#[must_use]
pub fn write_if_subject(entry: &Entry) -> Statement {
    Statement::new(insert_where!("EXISTS (SELECT 1 FROM users WHERE id = ?5)"), params(entry))
}

/// Writes the row, about whose name or address `identifier` is, unless there is an attempt of that id.
#[must_use]
pub fn write_unless_reserved(entry: &Entry, attempt: RowId, identifier: &str) -> Statement {
    let mut params = params(entry);
    params.extend([identifier.into(), attempt.to_string().into()]);
    let sql = insert_where!(
        "NOT EXISTS (SELECT 1 FROM sign_in_attempts WHERE id = ?11)",
        "SELECT id FROM users WHERE username = ?10 OR email_key = ?10"
    );
    Statement::new(sql, params)
}

/// Writes the row, about whose challenge it is, if the statement before it changed one row.
#[must_use]
pub fn write_if_changed_by_challenge(entry: &Entry, challenge: RowId) -> Statement {
    let mut params = params(entry);
    params.push(challenge.to_string().into());
    Statement::new(insert_where!("changes() = 1", "SELECT user_id FROM mfa_challenges WHERE id = ?10"), params)
}

/// Writes the row if there is this challenge.
#[must_use]
pub fn write_if_challenge(entry: &Entry, challenge: RowId) -> Statement {
    let mut params = params(entry);
    params.push(challenge.to_string().into());
    Statement::new(insert_where!("EXISTS (SELECT 1 FROM mfa_challenges WHERE id = ?10)"), params)
}

/// Writes the row, about whose challenge it is, if the account is closed where that comes from and so nothing was tried.
#[must_use]
pub fn write_if_challenge_is_blocked(entry: &Entry, challenge: RowId, attempt: RowId) -> Statement {
    let mut params = params(entry);
    params.extend([challenge.to_string().into(), attempt.to_string().into()]);
    let sql = insert_where!(
        "EXISTS (SELECT 1 FROM mfa_challenges c
           JOIN sign_in_locks AS lock ON lock.account = c.user_id AND lock.slot = c.slot
           WHERE c.id = ?10 AND lock.until > ?2 AND c.used_at IS NULL AND c.expires_at > ?2 AND c.last_try IS NOT ?11)",
        "SELECT user_id FROM mfa_challenges WHERE id = ?10"
    );
    Statement::new(sql, params)
}

/// Writes the row, about whose attempt it is, if that failed.
#[must_use]
pub fn write_if_failed(entry: &Entry, attempt: RowId) -> Statement {
    let mut params = params(entry);
    params.push(attempt.to_string().into());
    let sql = insert_where!(
        "EXISTS (SELECT 1 FROM sign_in_attempts WHERE id = ?10 AND outcome = 'failed')",
        "SELECT account FROM sign_in_attempts WHERE id = ?10"
    );
    Statement::new(sql, params)
}

/// Writes the row if there is such an account (the entry's subject, or whose the attempt is), and it was this attempt that
/// closed it. The lock is found by its key, through the attempt's own row. A sum, and no `AND`: both are looked for
/// whoever exists.
#[must_use]
pub fn write_if_closed(entry: &Entry, attempt: RowId) -> Statement {
    let mut params = params(entry);
    params.push(attempt.to_string().into());
    let sql = insert_where!(
        "2 = (SELECT COUNT(*) FROM users
              WHERE id = COALESCE(?5, (SELECT account FROM sign_in_attempts WHERE id = ?10))) + (
           SELECT COUNT(*) FROM sign_in_attempts AS own
           JOIN sign_in_locks AS lock ON lock.account = own.account AND lock.slot = own.slot
           WHERE own.id = ?10 AND lock.closed_by = ?10)",
        "SELECT account FROM sign_in_attempts WHERE id = ?10"
    );
    Statement::new(sql, params)
}

/// Reads which rows the entry's request has written.
#[must_use]
pub fn read_written(entry: &Entry) -> Statement {
    // By time first, which is indexed.
    Statement::new(
        "SELECT id FROM audit_events WHERE at = ?1 AND request_id = ?2",
        [entry.at.millis().into(), entry.origin.request.to_string().into()],
    )
}

/// The ids that were read.
pub fn written(rows: Rows) -> Result<Vec<String>, ApiError> {
    #[derive(Deserialize)]
    struct Row {
        id: String,
    }
    Ok(rows.all::<Row>()?.into_iter().map(|row| row.id).collect())
}

/// Shows an entry that was written to the log, so that any log sink can watch.
pub fn log(log: &dyn Log, entry: &Entry) {
    log_by(log, entry, None, None);
}

/// The same of an act.
pub fn log_act(log: &dyn Log, act: &Act) {
    log_by(log, &act.entry, Some(act.actor), act.detail.as_deref());
}

fn log_by(log: &dyn Log, entry: &Entry, actor: Option<UserId>, detail: Option<&str>) {
    let line = json!({
        "kind": "audit",
        "at": entry.at.rfc3339(),
        "event": entry.event.name(),
        "severity": entry.event.severity().name(),
        "outcome": entry.event.outcome().name(),
        "subject": entry.subject,
        "actor": actor,
        "detail": detail,
        "session": entry.session,
        "ip": entry.origin.ip,
        "user_agent": entry.origin.user_agent,
        "request_id": entry.origin.request,
    });
    log.line(&line.to_string());
}
