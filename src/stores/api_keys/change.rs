//! Making an API key, making another in its place, and ending one. What concerns a key that may be known already is
//! recorded as revoked in the same batch: whoever knows it looks it up anew.

use serde::Deserialize;

use super::{MAX, is_shown};
use crate::{
    domain::{
        api_key::addresses::Addresses,
        audit::Act,
        id::{ApiKeyId, UserId},
        revocation,
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Rows, Statement, Value},
    stores::{
        audit,
        judged::{Actor, stands},
        last,
        outbox::{self, NewLetter},
        revocations, run,
    },
};

/// A key that is made.
#[derive(Debug)]
pub struct NewKey<'a> {
    /// Which.
    pub id: ApiKeyId,
    /// What may be shown of its text.
    pub prefix: &'a str,
    /// The hash of its secret.
    pub secret_hash: &'a str,
    /// Whether its owner has shown a second factor.
    pub with_factor: bool,
}

/// What is done, by whom, and how it is told.
#[derive(Debug)]
pub struct Change<'a> {
    /// Its owner, as they are signed in.
    pub by: Actor,
    /// The row in the log.
    pub act: &'a Act,
    /// The mail, and how many of its kind an account is sent in an hour.
    pub told: (&'a NewLetter, u32),
}

/// What came of it.
#[derive(Debug)]
pub enum Changed {
    /// It is so now.
    Done {
        /// What is to be looked up anew.
        revoked: Vec<revocation::Entry>,
    },
    /// It was so before.
    Before {
        /// What was to be looked up anew.
        revoked: Vec<revocation::Entry>,
    },
    /// There are too many keys already.
    TooMany,
    /// The session that asks for it is over.
    NotStanding,
    /// There is no such key, or not any more.
    Gone,
}

/// How a new key is narrowed.
#[derive(Debug)]
pub struct Terms {
    /// What it is called.
    pub name: String,
    /// What it may do at most, with spaces between.
    pub scopes: String,
    /// From where it may be used.
    pub addresses: Addresses,
    /// How often in a minute, if that is said.
    pub per_minute: Option<u32>,
    /// When it ends.
    pub expires_at: Timestamp,
}

impl Change<'_> {
    fn at(&self) -> Timestamp {
        self.act.entry.at
    }

    fn entry(&self) -> Value {
        self.act.entry.id.to_string().into()
    }

    /// The row in the log, and the mail, if the statement before changed one row.
    fn tell(&self) -> [Statement; 2] {
        let (letter, an_hour) = self.told;
        let mail = outbox::notify_if_written(letter, self.by.user, self.act.entry.id, an_hour);
        [audit::write_act_if_changed(self.act), mail]
    }
}

/// Makes a key.
pub async fn create(
    database: &dyn Database,
    key: &NewKey<'_>,
    terms: &Terms,
    change: &Change<'_>,
) -> Result<Changed, ApiError> {
    let addresses = serde_json::to_string(&terms.addresses).map_err(|error| ApiError::Internal(error.to_string()))?;
    let mut batch = vec![Statement::new(
        concat!(
            "INSERT INTO api_keys (id, user_id, name, prefix, secret_hash, scopes, addresses, per_minute, with_factor,
               created_at, expires_at, made_by)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12 WHERE ",
            stands!("?13", "?2", "?14"),
            " AND (SELECT COUNT(*) FROM api_keys WHERE user_id = ?2 AND ",
            is_shown!("?10"),
            ") < ?15 ON CONFLICT (id) DO NOTHING"
        ),
        [
            key.id.to_string().into(),
            change.by.user.to_string().into(),
            terms.name.as_str().into(),
            key.prefix.into(),
            key.secret_hash.into(),
            terms.scopes.as_str().into(),
            addresses.into(),
            terms.per_minute.into(),
            i64::from(key.with_factor).into(),
            change.at().millis().into(),
            terms.expires_at.millis().into(),
            change.entry(),
            change.by.session.to_string().into(),
            change.by.version.into(),
            MAX.into(),
        ],
    )];
    batch.extend(change.tell());
    batch.push(read_made(key.id, change.by, change.at()));
    let made = made(last(run(database, batch).await?))?;
    Ok(match made {
        Made { found: 1, .. } => Changed::Done { revoked: Vec::new() },
        Made { stands: 1, .. } => Changed::TooMany,
        Made { .. } => Changed::NotStanding,
    })
}

/// Makes a key in the place of another, narrowed as that is. (1) The new one, if the old one stands and has no other in its
/// place. (2) The row in the log. (3) The old one goes on until `overlap` is over, if that is later than now.
pub async fn rotate(
    database: &dyn Database,
    old: ApiKeyId,
    key: &NewKey<'_>,
    (expires_at, overlap, revoked_until): (Timestamp, Timestamp, Timestamp),
    change: &Change<'_>,
) -> Result<Changed, ApiError> {
    let now = change.at();
    let mut batch = vec![Statement::new(
        concat!(
            "INSERT INTO api_keys (id, user_id, name, prefix, secret_hash, scopes, addresses, per_minute, with_factor,
               created_at, expires_at, made_by)
             SELECT ?1, user_id, name, ?3, ?4, scopes, addresses, per_minute, ?5, ?6, ?7, ?8 FROM api_keys
             WHERE id = ?9 AND user_id = ?2 AND ended_at IS NULL AND replaced_by IS NULL AND expires_at > ?6
             AND (?12 <= ?6 OR (SELECT COUNT(*) FROM api_keys WHERE user_id = ?2 AND ",
            is_shown!("?6"),
            ") < ?13) AND ",
            stands!("?10", "?2", "?11"),
            " ON CONFLICT (id) DO NOTHING"
        ),
        [
            key.id.to_string().into(),
            change.by.user.to_string().into(),
            key.prefix.into(),
            key.secret_hash.into(),
            i64::from(key.with_factor).into(),
            now.millis().into(),
            expires_at.millis().into(),
            change.entry(),
            old.to_string().into(),
            change.by.session.to_string().into(),
            change.by.version.into(),
            overlap.millis().into(),
            MAX.into(),
        ],
    )];
    batch.extend(change.tell());
    batch.extend([
        Statement::new(
            "UPDATE api_keys SET replaced_by = ?2, expires_at = MIN(expires_at, ?3),
               ended_at = CASE WHEN ?3 <= ?4 THEN ?4 END, ended_by = CASE WHEN ?3 <= ?4 THEN ?5 END
             WHERE id = ?1 AND ended_at IS NULL AND replaced_by IS NULL
             AND EXISTS (SELECT 1 FROM audit_events WHERE id = ?5)",
            [
                old.to_string().into(),
                key.id.to_string().into(),
                overlap.millis().into(),
                now.millis().into(),
                change.entry(),
            ],
        ),
        revocations::record_api_key(old, change.by.user, change.act.entry.id, now, revoked_until),
        revocations::read_of_api_key(old, change.by.user),
        read_made(key.id, change.by, change.at()),
    ]);
    let mut rows = run(database, batch).await?;
    let made = made(rows.pop().unwrap_or_default())?;
    Ok(match made {
        Made { found: 1, .. } => Changed::Done { revoked: revocations::entries(last(rows))? },
        Made { stands: 1, is_full: 1, .. } if overlap > now => Changed::TooMany,
        Made { stands: 1, .. } => Changed::Gone,
        Made { .. } => Changed::NotStanding,
    })
}

/// Ends one of a user's keys.
pub async fn end(
    database: &dyn Database,
    user: UserId,
    id: ApiKeyId,
    revoked_until: Timestamp,
    act: &Act,
) -> Result<Changed, ApiError> {
    #[derive(Deserialize)]
    struct EndedBy {
        ended_by: Option<String>,
    }
    let (now, entry) = (act.entry.at, act.entry.id);
    let batch = vec![
        Statement::new(
            "UPDATE api_keys SET ended_at = ?3, ended_by = ?4 WHERE id = ?1 AND user_id = ?2 AND ended_at IS NULL",
            [id.to_string().into(), user.to_string().into(), now.millis().into(), entry.to_string().into()],
        ),
        audit::write_act_if_changed(act),
        revocations::record_api_key(id, user, entry, now, revoked_until),
        revocations::read_of_api_key(id, user),
        Statement::new(
            "SELECT ended_by FROM api_keys WHERE id = ?1 AND user_id = ?2",
            [id.to_string().into(), user.to_string().into()],
        ),
    ];
    let mut rows = run(database, batch).await?;
    let row = rows.pop().unwrap_or_default().first::<EndedBy>()?;
    let revoked = revocations::entries(last(rows))?;
    Ok(match row {
        None => Changed::Gone,
        Some(EndedBy { ended_by }) if ended_by == Some(entry.to_string()) => Changed::Done { revoked },
        Some(_) => Changed::Before { revoked },
    })
}

#[derive(Deserialize)]
struct Made {
    found: i64,
    stands: i64,
    is_full: i64,
}

/// Reads whether a key was made, whether the session stands that asked for it, and whether there can be no more.
fn read_made(key: ApiKeyId, by: Actor, now: Timestamp) -> Statement {
    Statement::new(
        concat!(
            "SELECT EXISTS (SELECT 1 FROM api_keys WHERE id = ?1) AS found, ",
            stands!("?2", "?3", "?4"),
            " AS stands, (SELECT COUNT(*) FROM api_keys WHERE user_id = ?3 AND ",
            is_shown!("?5"),
            ") >= ?6 AS is_full"
        ),
        [
            key.to_string().into(),
            by.session.to_string().into(),
            by.user.to_string().into(),
            by.version.into(),
            now.millis().into(),
            MAX.into(),
        ],
    )
}

fn made(rows: Rows) -> Result<Made, ApiError> {
    rows.first::<Made>()?.ok_or_else(|| ApiError::Internal("a question without an answer".to_owned()))
}
