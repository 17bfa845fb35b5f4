//! Seals of the log: where the next range ends, its rows, the chain, and forgetting what was kept long enough.

use serde::Deserialize;
use serde_json::json;

use crate::{
    domain::{
        audit::{
            record::Record,
            seal::{Range, Seal, end_of_range},
        },
        time::Timestamp,
    },
    error::ApiError,
    ports::{Database, Statement},
    stores::{forget::in_rounds, last, run},
};

/// So many rows are read at once.
const PAGE: usize = 1000;
/// So many seals are renewed at once.
const RENEWED_AT_ONCE: i64 = 100;
/// At most so many batches at once, which is 50,000 rows.
const ROUNDS: usize = 100;

/// The columns of [`Seal`].
macro_rules! seal {
    () => {
        "number, from_at, to_at, rows, digest, previous, head, key_id, mac"
    };
}

/// The columns of [`Record`].
macro_rules! record {
    () => {
        "id, at, event, severity, actor, subject, session_id, ip, user_agent, request_id, detail, origin_salt, origin_hash"
    };
}

/// What is to be sealed next.
#[derive(Debug)]
pub struct Next {
    /// The newest seal.
    pub newest: Option<Seal>,
    /// From when to when, if there is a row that is not sealed.
    pub span: Option<(Timestamp, Timestamp)>,
}

/// Reads what is to be sealed next.
pub async fn next(database: &dyn Database) -> Result<Next, ApiError> {
    #[derive(Deserialize)]
    struct Open {
        first: Timestamp,
        beyond: Option<Timestamp>,
    }
    let batch = vec![
        Statement::new(
            concat!("SELECT ", seal!(), " FROM audit_seals WHERE number = (SELECT MAX(number) FROM audit_seals)"),
            [],
        ),
        // The row beyond those of a full range (`MAX_ROWS`), on the day of the first.
        Statement::new(
            "SELECT one.first, (
               SELECT at FROM audit_events WHERE at >= one.first AND at < (one.first / 86400000 + 1) * 86400000
               ORDER BY at LIMIT 1 OFFSET 20000) AS beyond
             FROM (SELECT at AS first FROM audit_events WHERE at >= COALESCE((
                     SELECT to_at FROM audit_seals WHERE number = (SELECT MAX(number) FROM audit_seals)), 0)
                   ORDER BY at LIMIT 1) AS one",
            [],
        ),
    ];
    let mut answers = run(database, batch).await?.into_iter();
    let newest: Option<Seal> = answers.next().unwrap_or_default().first()?;
    let open: Option<Open> = answers.next().unwrap_or_default().first()?;
    let from = newest.as_ref().map_or(Timestamp::default(), |seal| seal.range.to_at);
    let span = open.map(|open| (from, end_of_range(open.first, open.beyond)));
    Ok(Next { newest, span })
}

/// Where reading a range goes on.
#[derive(Clone, Debug)]
pub struct Rest {
    at: Timestamp,
    id: String,
    to: Timestamp,
}

impl Rest {
    /// All of it.
    #[must_use]
    pub const fn of(from: Timestamp, to: Timestamp) -> Self {
        Self { at: from, id: String::new(), to }
    }

    /// What is left after some rows were read, if there may be any.
    #[must_use]
    pub fn after(&self, rows: &[Record]) -> Option<Self> {
        let row = rows.last().filter(|_| rows.len() >= PAGE)?;
        Some(Self { at: row.at, id: row.id.clone(), to: self.to })
    }

    fn read(&self) -> Statement {
        Statement::new(
            concat!(
                "SELECT ",
                record!(),
                " FROM audit_events WHERE (at, id) > (?1, ?2) AND at < ?3 ORDER BY at, id LIMIT 1000"
            ),
            [self.at.millis().into(), self.id.as_str().into(), self.to.millis().into()],
        )
    }
}

/// Reads some rows, in the order of time and id.
pub async fn read(database: &dyn Database, rest: &Rest) -> Result<Vec<Record>, ApiError> {
    Ok(last(run(database, vec![rest.read()]).await?).all()?)
}

/// A row, and the salt and hash of its origin.
pub type Stamp<'a> = (&'a Record, String, String);

/// Writes down what is sealed of rows' origins, where it is still what was read and nobody else did; and reads them again.
pub async fn stamp(database: &dyn Database, stamps: &[Stamp<'_>], rest: &Rest) -> Result<Vec<Record>, ApiError> {
    let stamps: Vec<_> =
        stamps.iter().map(|(row, salt, hash)| json!([row.id, salt, hash, row.ip, row.user_agent])).collect();
    let write = Statement::new(
        "UPDATE audit_events SET origin_salt = json_extract(stamp.value, '$[1]'),
           origin_hash = json_extract(stamp.value, '$[2]')
         FROM json_each(?1) AS stamp WHERE audit_events.id = json_extract(stamp.value, '$[0]') AND origin_hash IS NULL
           AND ip IS json_extract(stamp.value, '$[3]') AND user_agent IS json_extract(stamp.value, '$[4]')",
        [json!(stamps).to_string().into()],
    );
    Ok(last(run(database, vec![write, rest.read()]).await?).all()?)
}

/// Writes a seal down, if it is the next one and its range still holds so many rows. Says whether it is there: whoever
/// sealed the same has made the same.
pub async fn put(database: &dyn Database, seal: &Seal, now: Timestamp) -> Result<bool, ApiError> {
    #[derive(Deserialize)]
    struct Head {
        head: String,
    }
    let Range { number, from_at, to_at, rows, digest, previous } = &seal.range;
    let insert = Statement::new(
        concat!(
            "INSERT INTO audit_seals (",
            seal!(),
            ", sealed_at) SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10
             WHERE COALESCE((SELECT MAX(number) FROM audit_seals), 0) = ?1 - 1
               AND COALESCE((SELECT head FROM audit_seals WHERE number = ?1 - 1), '') = ?6
               AND (SELECT COUNT(*) FROM audit_events WHERE at >= ?2 AND at < ?3) = ?4
             ON CONFLICT (number) DO NOTHING"
        ),
        [
            (*number).into(),
            from_at.millis().into(),
            to_at.millis().into(),
            (*rows).into(),
            digest.as_str().into(),
            previous.as_str().into(),
            seal.head.as_str().into(),
            seal.key_id.as_str().into(),
            seal.mac.as_str().into(),
            now.millis().into(),
        ],
    );
    let read = Statement::new("SELECT head FROM audit_seals WHERE number = ?1", [(*number).into()]);
    let found: Option<Head> = last(run(database, vec![insert, read]).await?).first()?;
    Ok(found.is_some_and(|found| found.head == seal.head))
}

/// Seals that another key than that of this id vouches for, some at once, from after one on.
pub async fn not_under(database: &dyn Database, key: &str, after: Option<&Seal>) -> Result<Vec<Seal>, ApiError> {
    macro_rules! page {
        ($condition:literal) => {
            concat!(
                "SELECT * FROM (SELECT ",
                seal!(),
                " FROM audit_seals WHERE ",
                $condition,
                " AND (key_id, number) > (?2, ?3) ORDER BY key_id, number LIMIT ?4)"
            )
        };
    }
    let question = Statement::new(
        concat!(page!("key_id < ?1"), " UNION ALL ", page!("key_id > ?1"), " ORDER BY key_id, number LIMIT ?4"),
        [
            key.into(),
            after.map_or("", |seal| seal.key_id.as_str()).into(),
            after.map_or(0, |seal| seal.range.number).into(),
            RENEWED_AT_ONCE.into(),
        ],
    );
    Ok(last(run(database, vec![question]).await?).all()?)
}

/// Puts a seal of the same head in the place of what it was read as.
pub async fn renew(database: &dyn Database, anew: &[(&Seal, Seal)]) -> Result<(), ApiError> {
    let put = |(old, new): &(&Seal, Seal)| {
        Statement::new(
            "UPDATE audit_seals SET key_id = ?3, mac = ?4 WHERE number = ?1 AND mac = ?2",
            [old.range.number.into(), old.mac.as_str().into(), new.key_id.as_str().into(), new.mac.as_str().into()],
        )
    };
    if !anew.is_empty() {
        run(database, anew.iter().map(put).collect()).await?;
    }
    Ok(())
}

/// Forgets ranges that ended at `before` or earlier, the oldest first, and then their rows. What is not sealed is never
/// forgotten. Says whether all are gone.
pub async fn forget(database: &dyn Database, before: Timestamp, now: Timestamp) -> Result<bool, ApiError> {
    macro_rules! oldest {
        () => {
            "(SELECT number FROM audit_seals WHERE forgotten_at IS NULL AND to_at <= ?1 ORDER BY to_at LIMIT 1)"
        };
    }
    macro_rules! rows {
        () => {
            "SELECT id FROM audit_events WHERE at < (SELECT MAX(to_at) FROM audit_seals WHERE forgotten_at > 0)"
        };
    }
    let batch = vec![
        Statement::new(
            concat!("UPDATE audit_seals SET forgotten_at = ?2 WHERE number = ", oldest!()),
            [before.millis().into(), now.millis().into()],
        ),
        Statement::new(
            "DELETE FROM audit_seals WHERE number < (SELECT MAX(number) FROM audit_seals WHERE forgotten_at > 0)",
            [],
        ),
        Statement::new(concat!("DELETE FROM audit_events WHERE id IN (", rows!(), " LIMIT 500)"), []),
        Statement::new(
            concat!("SELECT EXISTS (", rows!(), ") OR EXISTS ", oldest!(), " AS left"),
            [before.millis().into()],
        ),
    ];
    in_rounds(database, ROUNDS, batch).await
}
