//! Sending: rows are claimed before they are tried, so that two isolates do not send one twice, and a crash only delays.

use serde::Deserialize;

use crate::{
    domain::{
        id::RowId,
        mail::{FIRST_WAIT, KEEP_DEAD, KEEP_SENT, LONGEST_WAIT},
        time::{Timestamp, millis},
    },
    error::ApiError,
    ports::{Database, Rows, Statement},
    stores::{forget::in_rounds, last, run},
};

/// So many are claimed at once.
pub const AT_ONCE: usize = 10;

/// A row as it is sent.
#[derive(Clone, Debug, Deserialize)]
pub struct Row {
    /// Its id.
    pub id: RowId,
    /// What it is about, by name.
    pub kind: String,
    /// Whom it is to.
    pub recipient: String,
    /// What it tells, as JSON.
    pub details: String,
    /// When it was written, in milliseconds since the Unix epoch.
    pub created_at: i64,
    /// When its token is over, likewise.
    pub expires_at: i64,
}

/// What became of a claimed row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was sent.
    Sent,
    /// It never will be, for this reason.
    Dead(String),
    /// Not yet, for this reason: it is tried again.
    Later(String),
}

macro_rules! columns {
    () => {
        "SELECT id, kind, recipient, details, created_at, expires_at FROM mail_outbox"
    };
}

/// Claims rows that are due, those that have waited longest first. `claim` is a name that no other claim has: put twice,
/// the second finds what the first claimed.
pub async fn claim(database: &dyn Database, claim: RowId, now: Timestamp) -> Result<Vec<Row>, ApiError> {
    let (claim, at_once) = (claim.to_string(), i64::try_from(AT_ONCE).unwrap_or(i64::MAX));
    let batch = vec![
        Statement::new(
            "UPDATE mail_outbox SET tries = tries + 1, claimed_by = ?1,
               next_at = ?2 + MIN(?3 << MIN(tries, 20), ?4)
             WHERE id IN (SELECT id FROM mail_outbox WHERE state = 'pending' AND next_at <= ?2
                          ORDER BY next_at LIMIT ?5)
             AND NOT EXISTS (SELECT 1 FROM mail_outbox WHERE claimed_by = ?1)",
            [
                claim.as_str().into(),
                now.millis().into(),
                millis(FIRST_WAIT).into(),
                millis(LONGEST_WAIT).into(),
                at_once.into(),
            ],
        ),
        Statement::new(concat!(columns!(), " WHERE claimed_by = ?1 ORDER BY id"), [claim.into()]),
    ];
    Ok(last(run(database, batch).await?).all()?)
}

/// Records what became of rows that this claim has. One that another has claimed since is the other's to record, but
/// for having been sent.
pub async fn settle(
    database: &dyn Database,
    claim: RowId,
    fates: &[(RowId, Fate)],
    now: Timestamp,
) -> Result<(), ApiError> {
    let claim = claim.to_string();
    let statement = |(id, fate): &(RowId, Fate)| {
        let id = id.to_string();
        match fate {
            Fate::Sent => Statement::new(
                "UPDATE mail_outbox SET state = 'sent', sent_at = ?2, next_at = MAX(?3, expires_at),
                   claimed_by = NULL, last_error = NULL
                 WHERE id = ?1 AND state = 'pending'",
                [id.into(), now.millis().into(), now.plus(KEEP_SENT).millis().into()],
            ),
            Fate::Dead(why) => Statement::new(
                "UPDATE mail_outbox SET state = 'dead', next_at = MAX(?3, expires_at), claimed_by = NULL, last_error = ?4
                 WHERE id = ?1 AND state = 'pending' AND claimed_by = ?2",
                [id.into(), claim.as_str().into(), now.plus(KEEP_DEAD).millis().into(), why.as_str().into()],
            ),
            Fate::Later(why) => Statement::new(
                "UPDATE mail_outbox SET claimed_by = NULL, last_error = ?3
                 WHERE id = ?1 AND state = 'pending' AND claimed_by = ?2",
                [id.into(), claim.as_str().into(), why.as_str().into()],
            ),
        }
    };
    if !fates.is_empty() {
        run(database, fates.iter().map(statement).collect()).await?;
    }
    Ok(())
}

/// At most so many batches at once, which is 10,000 mails.
const ROUNDS: usize = 20;

/// Deletes rows whose time is over. Says whether all are gone.
pub async fn forget(database: &dyn Database, now: Timestamp) -> Result<bool, ApiError> {
    let batch = vec![
        Statement::new(
            "DELETE FROM mail_outbox WHERE id IN (
               SELECT id FROM mail_outbox WHERE state IN ('sent', 'dead', 'nobody') AND next_at <= ?1 LIMIT 500)",
            [now.millis().into()],
        ),
        Statement::new(
            "SELECT EXISTS (SELECT 1 FROM mail_outbox
             WHERE state IN ('sent', 'dead', 'nobody') AND next_at <= ?1) AS left",
            [now.millis().into()],
        ),
    ];
    in_rounds(database, ROUNDS, batch).await
}

/// How many wait, and how many never arrived.
#[derive(Clone, Copy, Debug, Deserialize)]
pub struct Counts {
    /// They are tried again.
    pub pending: i64,
    /// They are not.
    pub dead: i64,
}

/// Reads the counts: exactly, up to a thousand.
pub(in crate::stores) fn read_counts() -> Statement {
    Statement::new(
        "SELECT (SELECT COUNT(*) FROM (SELECT 1 FROM mail_outbox WHERE state = 'pending' LIMIT 1000)) AS pending,
         (SELECT COUNT(*) FROM (SELECT 1 FROM mail_outbox WHERE state = 'dead' LIMIT 1000)) AS dead",
        [],
    )
}

/// The counts that were read.
pub(in crate::stores) fn counts(rows: Rows) -> Result<Counts, ApiError> {
    rows.first()?.ok_or_else(|| ApiError::Internal("no word of the outbox".to_owned()))
}

/// The newest that are for somebody, sent or not: what a developer looks at.
pub async fn newest(database: &dyn Database) -> Result<Vec<Row>, ApiError> {
    let statement = Statement::new(concat!(columns!(), " WHERE state <> 'nobody' ORDER BY id DESC LIMIT 100"), []);
    Ok(last(run(database, vec![statement]).await?).all()?)
}
