//! The record of what was revoked. Rows are written in the batch of the change that revokes; who hands them on
//! reads them in the order of their sequence numbers, which has no gaps that are filled later.

use serde::Deserialize;

use super::{forget::in_rounds, last, run};
use crate::{
    domain::{
        id::{ApiKeyId, RowId, SessionId, TokenId, UserId},
        revocation::{Entry, Revoked, Versions, feed::Pulled},
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Rows, Statement},
};

macro_rules! columns {
    () => {
        "SELECT seq, kind, value, user_id, created_at, until FROM revocations"
    };
}

/// So many rows are read at once.
const PAGE: usize = 5000;

/// Records a revocation if the statement before changed one row. What is about a session is about its user.
pub(super) fn record_if_changed(what: &Revoked, session: SessionId, now: Timestamp, until: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO revocations (kind, value, user_id, created_at, until)
         SELECT ?1, ?2, (SELECT user_id FROM sessions WHERE id = ?3), ?4, ?5
         WHERE changes() = 1 ON CONFLICT (kind, value) DO NOTHING",
        [
            what.kind().into(),
            what.value().into(),
            session.to_string().into(),
            now.millis().into(),
            until.millis().into(),
        ],
    )
}

/// Records that every token of a session's user that is older than the user's present version is refused, if the
/// statement before changed one row.
pub(super) fn record_version_if_changed(session: SessionId, now: Timestamp, until: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO revocations (kind, value, user_id, created_at, until)
         SELECT 'user', id || ':' || token_version, id, ?2, ?3 FROM users
         WHERE id = (SELECT user_id FROM sessions WHERE id = ?1) AND changes() = 1
         ON CONFLICT (kind, value) DO NOTHING",
        [session.to_string().into(), now.millis().into(), until.millis().into()],
    )
}

/// Records every session as revoked that a request has ended.
pub(super) fn record_sessions_ended_by(request: &str, now: Timestamp, until: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO revocations (kind, value, user_id, created_at, until)
         SELECT 'session', id, user_id, ?2, ?3 FROM sessions WHERE ended_by = ?1
         ON CONFLICT (kind, value) DO NOTHING",
        [request.into(), now.millis().into(), until.millis().into()],
    )
}

/// The same of a user whose sessions need not be known.
pub(super) fn record_users_version_if_changed(user: UserId, now: Timestamp, until: Timestamp) -> Statement {
    Statement::new(
        "INSERT INTO revocations (kind, value, user_id, created_at, until)
         SELECT 'user', id || ':' || token_version, id, ?2, ?3 FROM users
         WHERE id = ?1 AND changes() = 1 ON CONFLICT (kind, value) DO NOTHING",
        [user.to_string().into(), now.millis().into(), until.millis().into()],
    )
}

/// Records that an API key is to be looked up anew, if the row in the log is there that tells why. Where that was so before,
/// for another reason, it is so once more: whoever has heard of that hears of this.
pub(super) fn record_api_key(key: ApiKeyId, user: UserId, row: RowId, now: Timestamp, until: Timestamp) -> Statement {
    Statement::new(
        "INSERT OR REPLACE INTO revocations (kind, value, user_id, created_at, until)
         SELECT 'api_key', ?1, ?2, ?3, ?4 WHERE EXISTS (SELECT 1 FROM audit_events WHERE id = ?5)",
        [
            key.to_string().into(),
            user.to_string().into(),
            now.millis().into(),
            until.millis().into(),
            row.to_string().into(),
        ],
    )
}

/// Reads what is recorded of one of a user's API keys.
pub(super) fn read_of_api_key(key: ApiKeyId, user: UserId) -> Statement {
    Statement::new(
        concat!(columns!(), " WHERE kind = 'api_key' AND value = ?1 AND user_id = ?2"),
        [key.to_string().into(), user.to_string().into()],
    )
}

/// At most so many batches at once, which is 10,000 revocations.
const ROUNDS: usize = 20;

/// Deletes rows that can matter no more, but for the newest, by which one tells a record that was put back. Says whether
/// all are gone.
pub async fn forget(database: &dyn Database, now: Timestamp) -> Result<bool, ApiError> {
    let batch = vec![
        Statement::new(
            "DELETE FROM revocations WHERE seq IN (
               SELECT seq FROM revocations
               WHERE until <= ?1 AND seq < (SELECT MAX(seq) FROM revocations) LIMIT 500)",
            [now.millis().into()],
        ),
        Statement::new(
            "SELECT EXISTS (SELECT 1 FROM revocations
             WHERE until <= ?1 AND seq < (SELECT MAX(seq) FROM revocations)) AS left",
            [now.millis().into()],
        ),
    ];
    in_rounds(database, ROUNDS, batch).await
}

/// Records a single token's revocation.
pub async fn record_token(
    database: &dyn Database,
    token: TokenId,
    now: Timestamp,
    until: Timestamp,
) -> Result<(), ApiError> {
    let insert = Statement::new(
        "INSERT INTO revocations (kind, value, created_at, until) VALUES ('token', ?1, ?2, ?3)
         ON CONFLICT (kind, value) DO NOTHING",
        [token.to_string().into(), now.millis().into(), until.millis().into()],
    );
    run(database, vec![insert]).await?;
    Ok(())
}

/// Reads what is recorded of a session and of one token; of its user as well, if it ended with all of the user's.
pub(super) fn read_of_session(session: SessionId, token: Option<TokenId>) -> Statement {
    Statement::new(
        concat!(
            columns!(),
            " WHERE (kind = 'session' AND value = ?1) OR (kind = 'token' AND value = ?2)
             OR (kind = 'user' AND user_id = (
                   SELECT user_id FROM sessions WHERE id = ?1 AND end_reason IN ('logout_all', 'password_reset', 'token_reuse')))"
        ),
        [session.to_string().into(), token.map(|token| token.to_string()).into()],
    )
}

/// Reads what was recorded of sessions that a request has ended.
pub(super) fn read_sessions_ended_by(request: &str) -> Statement {
    Statement::new(
        concat!(columns!(), " WHERE kind = 'session' AND value IN (SELECT id FROM sessions WHERE ended_by = ?1)"),
        [request.into()],
    )
}

/// Reads what was recorded of a user's sessions, as far as that still matters.
pub(super) fn read_sessions_of(user: UserId, now: Timestamp) -> Statement {
    Statement::new(
        concat!(columns!(), " WHERE user_id = ?1 AND kind = 'session' AND until > ?2"),
        [user.to_string().into(), now.millis().into()],
    )
}

/// Reads what was last recorded of the version of a session's user.
pub(super) fn read_of_user(session: SessionId, now: Timestamp) -> Statement {
    Statement::new(
        concat!(
            columns!(),
            " WHERE kind = 'user' AND user_id = (SELECT user_id FROM sessions WHERE id = ?1) AND until > ?2
             ORDER BY seq DESC LIMIT 1"
        ),
        [session.to_string().into(), now.millis().into()],
    )
}

/// The same of a user whose sessions need not be known.
pub(super) fn read_of_users_version(user: UserId, now: Timestamp) -> Statement {
    Statement::new(
        concat!(columns!(), " WHERE kind = 'user' AND user_id = ?1 AND until > ?2 ORDER BY seq DESC LIMIT 1"),
        [user.to_string().into(), now.millis().into()],
    )
}

/// Reads which keys were ended before their time, as far as that still matters, the newest first.
pub(super) fn read_keys(now: Timestamp) -> Statement {
    Statement::new(concat!(columns!(), " WHERE kind = 'key' AND until > ?1 ORDER BY seq DESC"), [now.millis().into()])
}

#[derive(Deserialize)]
struct Row {
    seq: i64,
    kind: String,
    value: String,
    user_id: Option<UserId>,
    created_at: i64,
    until: i64,
}

impl Row {
    /// `None` for a kind that only a later version knows.
    fn entry(self) -> Option<Entry> {
        Some(Entry {
            what: Revoked::parse(&self.kind, &self.value)?,
            user: self.user_id,
            at: Timestamp::from_millis(self.created_at),
            until: Timestamp::from_millis(self.until),
        })
    }
}

/// The entries that were read.
pub(super) fn entries(rows: Rows) -> Result<Vec<Entry>, ApiError> {
    Ok(rows.all::<Row>()?.into_iter().filter_map(Row::entry).collect())
}

pub(super) fn read_versions() -> Statement {
    Statement::new("SELECT name, version FROM versions", [])
}

/// The versions that were read.
pub(super) fn versions(rows: Rows) -> Result<Versions, ApiError> {
    #[derive(Deserialize)]
    struct Named {
        name: String,
        version: i64,
    }
    let mut versions = Versions::default();
    for Named { name, version } in rows.all::<Named>()? {
        match name.as_str() {
            "keys" => versions.keys = version,
            "policy" => versions.policy = version,
            "roles" => versions.roles = version,
            _ => {}
        }
    }
    Ok(versions)
}

/// Reads the newest sequence number of the record.
pub(super) fn read_newest() -> Statement {
    Statement::new("SELECT COALESCE(MAX(seq), 0) AS newest FROM revocations", [])
}

/// The number that was read.
pub(super) fn newest_of(rows: Rows) -> Result<i64, ApiError> {
    #[derive(Deserialize)]
    struct Newest {
        newest: i64,
    }
    Ok(rows.first::<Newest>()?.map_or(0, |row| row.newest))
}

/// Reads what was recorded after a sequence number and can still matter, as much as is read at once.
pub async fn pull(database: &dyn Database, after: i64, now: Timestamp) -> Result<Pulled, ApiError> {
    let page = i64::try_from(PAGE).unwrap_or(i64::MAX);
    let batch = vec![
        Statement::new(
            concat!(columns!(), " WHERE seq > ?1 AND until > ?2 ORDER BY seq LIMIT ?3"),
            [after.into(), now.millis().into(), page.into()],
        ),
        read_newest(),
        read_versions(),
    ];
    let mut rows = run(database, batch).await?;
    let versions = versions(rows.pop().unwrap_or_default())?;
    let newest = newest_of(rows.pop().unwrap_or_default())?;
    let rows = last(rows).all::<Row>()?;
    let more = rows.len() >= PAGE;
    let read_to = rows.last().map_or(after, |row| row.seq);
    let record = if more { read_to } else { newest };
    Ok(Pulled { entries: rows.into_iter().filter_map(Row::entry).collect(), record, more, versions })
}
